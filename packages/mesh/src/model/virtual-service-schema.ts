import { z } from "zod";
import { checkHost } from "./host-field.ts";
import { checkRe2 } from "./re2.ts";
import { formatPath, type Report } from "./report.ts";
import type {
  HeaderMatch,
  HttpRoute,
  RouteDestination,
  RouteMatch,
  StringMatch,
  VirtualServiceSpec,
} from "./resource.ts";
import type { FieldPath } from "./yaml-text.ts";

const stringMatchSchema = z.strictObject({
  exact: z.string().optional(),
  prefix: z.string().optional(),
  regex: z.string().optional(),
});

const matchSchema = z.strictObject({
  name: z.string().optional(),
  uri: stringMatchSchema.optional(),
  headers: z.record(z.string(), stringMatchSchema).optional(),
});

const destinationSchema = z.strictObject({
  host: z.string(),
  subset: z.string().min(1).optional(),
  port: z.strictObject({ number: z.int().min(1).max(65535) }).optional(),
});

const httpRouteSchema = z.strictObject({
  name: z.string().optional(),
  match: z.array(matchSchema).optional(),
  route: z
    .array(
      z.strictObject({
        destination: destinationSchema,
        weight: z
          .int()
          .min(0)
          .max(2 ** 31 - 1)
          .optional(),
      }),
    )
    .min(1),
});

/** spec of a VirtualService. */
export const virtualServiceSchema = z.strictObject({
  hosts: z.array(z.string()).min(1),
  http: z.array(httpRouteSchema).min(1),
});

type WrittenRoute = z.infer<typeof httpRouteSchema>;
type WrittenMatch = z.infer<typeof matchSchema>;
type WrittenStringMatch = z.infer<typeof stringMatchSchema>;

/** The domain value; reports what the shape alone can't tell. */
export function virtualServiceSpecOf(
  written: z.infer<typeof virtualServiceSchema>,
  report: Report,
): VirtualServiceSpec {
  const seen = new Set<string>();
  for (const [index, host] of written.hosts.entries()) {
    const path = ["spec", "hosts", index];
    checkHost(host, path, report);
    if (seen.has(host)) {
      const message = `${formatPath(path)}: the host ${host} is there twice`;
      report({ severity: "error", code: "WEFT0016", message, path });
    }
    seen.add(host);
  }
  return { hosts: written.hosts, http: written.http.map((route, index) => httpRouteOf(route, index, report)) };
}

function httpRouteOf(written: WrittenRoute, index: number, report: Report): HttpRoute {
  const path = ["spec", "http", index];
  const { name, match = [], route } = written;
  checkWeights(route, [...path, "route"], report);
  return {
    ...(name === undefined ? {} : { name }),
    matches: match.map((one, position) => matchOf(one, [...path, "match", position], report)),
    destinations: route.map((one, position): RouteDestination => {
      checkHost(one.destination.host, [...path, "route", position, "destination", "host"], report);
      const { host, subset, port } = one.destination;
      return {
        host,
        ...(subset === undefined ? {} : { subset }),
        ...(port === undefined ? {} : { port: port.number }),
        weight: one.weight ?? 0,
      };
    }),
  };
}

/**
 * Istio takes weights as proportions: of several destinations each gets its weight's part of the sum, one without weight
 * gets nothing, and a sum of 0 is an error. The weight of an only destination doesn't matter.
 */
function checkWeights(route: WrittenRoute["route"], path: FieldPath, report: Report): void {
  if (route.length < 2) return;
  const sum = route.reduce((total, { weight = 0 }) => total + weight, 0);
  const field = formatPath(path);
  if (sum === 0) {
    const hint = "weights are proportions: give each destination one";
    report({ severity: "error", code: "WEFT0015", message: `the weights of ${field} add up to 0`, path, hint });
  } else if (sum > 2 ** 32 - 1) {
    report({
      severity: "error",
      code: "WEFT0015",
      message: `the weights of ${field} add up to more than 2^32-1`,
      path,
    });
  } else {
    for (const [index, { weight }] of route.entries()) {
      if (weight !== undefined) continue;
      const message = `${field}[${index}] has no weight, so it gets no calls`;
      report({ severity: "warning", code: "WEFT0015", message, path: [...path, index] });
    }
  }
}

function matchOf(written: WrittenMatch, path: FieldPath, report: Report): RouteMatch {
  const { name, uri: writtenUri, headers = {} } = written;
  const uri = writtenUri && stringMatchOf(writtenUri, [...path, "uri"], report);
  if (uri !== undefined) checkUri(uri, [...path, "uri"], report);
  return {
    ...(name === undefined ? {} : { name }),
    ...(uri === undefined ? {} : { uri }),
    headers: headerMatchesOf(headers, [...path, "headers"], report),
  };
}

function headerMatchesOf(
  headers: Readonly<Record<string, WrittenStringMatch>>,
  path: FieldPath,
  report: Report,
): readonly HeaderMatch[] {
  const matches: HeaderMatch[] = [];
  for (const [written, match] of Object.entries(headers)) {
    const field = [...path, written];
    const name = written.toLowerCase();
    if (!/^[a-z0-9_.-]+$/.test(name) || name.endsWith("-bin") || name.startsWith("grpc-")) {
      const message = `${formatPath(field)} can never match: gRPC routes by the metadata that the caller sets, as text`;
      report({ severity: "error", code: "WEFT0017", message, path: field, atKey: true });
      continue;
    }
    if (matches.some((other) => other.name === name)) {
      const message = `${formatPath(field)}: the header ${name} is there twice`;
      report({ severity: "error", code: "WEFT0016", message, path: field, atKey: true });
    }
    if (Object.keys(match).length === 0) matches.push({ name, match: { kind: "present" } });
    else {
      const value = stringMatchOf(match, field, report);
      if (value !== undefined) matches.push({ name, match: value });
    }
  }
  return matches.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function stringMatchOf(written: WrittenStringMatch, path: FieldPath, report: Report): StringMatch | undefined {
  const given = (["exact", "prefix", "regex"] as const).flatMap((kind): StringMatch[] => {
    const value = written[kind];
    return value === undefined ? [] : [{ kind, value }];
  });
  const [match] = given;
  if (match === undefined || given.length > 1) {
    const message = `${formatPath(path)} must have exactly one of exact, prefix and regex`;
    report({ severity: "error", code: "WEFT0012", message, path });
    return undefined;
  }
  if (match.kind === "prefix" && match.value === "") {
    report({ severity: "error", code: "WEFT0012", message: `${formatPath(path)}.prefix is empty`, path });
  }
  const problem = match.kind === "regex" ? checkRe2(match.value) : undefined;
  if (problem !== undefined) {
    const message = `${formatPath(path)}.regex is not RE2: ${problem}`;
    report({ severity: "error", code: "WEFT0014", message, path: [...path, "regex"] });
  }
  return match;
}

function checkUri(uri: StringMatch, path: FieldPath, report: Report): void {
  const isImpossible =
    (uri.kind === "exact" && !/^\/[^/]+\/[^/]+$/.test(uri.value)) ||
    (uri.kind === "prefix" && !/^\/([^/]+(\/[^/]*)?)?$/.test(uri.value));
  if (!isImpossible) return;
  report({
    severity: "warning",
    code: "WEFT0017",
    message: `${formatPath(path)}: no gRPC call has a path like ${JSON.stringify(uri.value.slice(0, 80))}`,
    path: [...path, uri.kind],
    hint: "paths are /package.Service/Method",
  });
}
