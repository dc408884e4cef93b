import type { BalancerPolicy } from "../balancing/balancer.ts";
import type { HedgingPolicy, RetryPolicy } from "../rpc/retry-policy.ts";
import { durationMs, fieldsOf, integerOf, itemsOf, numberOf, refuse, statusesOf } from "./service-config-fields.ts";

// A service config (gRFC A2, gRPC's service_config.md) as an application writes it, in JSON. Fields that gRPC defines are
// read; others are left alone, as every gRPC does: they belong to newer versions.

/** A service config, parsed. */
export interface ServiceConfig {
  /** The first policy of the list that is known here. */
  readonly loadBalancing: BalancerPolicy | undefined;
  /** By `/service/method`, by `/service/`, and under `""` for all others. */
  readonly methods: ReadonlyMap<string, MethodConfig>;
  readonly retryThrottling: { readonly maxTokens: number; readonly tokenRatio: number } | undefined;
  /** The service whose health decides about a backend (gRFC A17); the empty name is the whole server. */
  readonly healthCheckService: string | undefined;
}

/** What a service config says of some methods. */
export interface MethodConfig {
  readonly waitForReady?: boolean;
  readonly timeoutMs?: number;
  readonly maxRequestBytes?: number;
  readonly maxResponseBytes?: number;
  readonly retry?: RetryPolicy;
  readonly hedging?: HedgingPolicy;
}

/** The config in `source`, JSON or the object that it stands for. Throws a TypeError that names the field that is wrong. */
export function parseServiceConfig(source: string | object): ServiceConfig {
  const at = "serviceConfig";
  const config = fieldsOf(typeof source === "string" ? parseJson(source) : source, at);
  const throttling = config["retryThrottling"];
  const health = config["healthCheckConfig"];
  return {
    loadBalancing: loadBalancingOf(config),
    methods: methodsOf(config["methodConfig"], `${at}.methodConfig`),
    retryThrottling: throttling === undefined ? undefined : throttlingOf(throttling, `${at}.retryThrottling`),
    healthCheckService: health === undefined ? undefined : healthServiceOf(health, `${at}.healthCheckConfig`),
  };
}

/** What `config` says of the method at `path`: of itself, else of its service, else of all. */
export function methodConfigOf(config: ServiceConfig, path: string): MethodConfig | undefined {
  const { methods } = config;
  return methods.get(path) ?? methods.get(path.slice(0, path.lastIndexOf("/") + 1)) ?? methods.get("");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TypeError("serviceConfig is no JSON", { cause: error });
  }
}

function loadBalancingOf(config: Readonly<Record<string, unknown>>): BalancerPolicy | undefined {
  const list = config["loadBalancingConfig"];
  const at = "serviceConfig.loadBalancingConfig";
  if (list === undefined) {
    // The older field, by name alone.
    const name = config["loadBalancingPolicy"];
    return typeof name === "string" ? policyNamed(name.toLowerCase(), {}, at) : undefined;
  }
  const names: string[] = [];
  for (const [index, item] of itemsOf(list, at).entries()) {
    const entries = Object.entries(fieldsOf(item, `${at}[${index}]`));
    const [entry] = entries;
    if (entry === undefined || entries.length > 1) refuse(`${at}[${index}]`, "must have exactly one policy");
    const policy = policyNamed(entry[0], entry[1], `${at}[${index}].${entry[0]}`);
    if (policy !== undefined) return policy;
    names.push(entry[0]);
  }
  return names.length === 0 ? undefined : refuse(at, `has no policy that is known here: ${names.join(", ")}`);
}

function policyNamed(name: string, settings: unknown, at: string): BalancerPolicy | undefined {
  if (name === "round_robin") return { kind: "round_robin" };
  if (name !== "pick_first") return undefined;
  return fieldsOf(settings, at)["shuffleAddressList"] === true
    ? { kind: "pick_first", shuffle: true }
    : { kind: "pick_first" };
}

function methodsOf(value: unknown, at: string): Map<string, MethodConfig> {
  const methods = new Map<string, MethodConfig>();
  for (const [index, item] of itemsOf(value ?? [], at).entries()) {
    const where = `${at}[${index}]`;
    const fields = fieldsOf(item, where);
    const config = methodOf(fields, where);
    for (const [place, name] of itemsOf(fields["name"] ?? [], `${where}.name`).entries()) {
      const key = nameKey(fieldsOf(name, `${where}.name[${place}]`), `${where}.name[${place}]`);
      if (methods.has(key)) refuse(`${where}.name[${place}]`, "comes a second time");
      methods.set(key, config);
    }
  }
  return methods;
}

function nameKey(name: Readonly<Record<string, unknown>>, at: string): string {
  const service = name["service"] ?? "";
  const method = name["method"] ?? "";
  if (typeof service !== "string" || typeof method !== "string") refuse(at, "must have service and method as text");
  if (service === "" && method !== "") refuse(at, "has a method without a service");
  return service === "" ? "" : `/${service}/${method}`;
}

function methodOf(fields: Readonly<Record<string, unknown>>, at: string): MethodConfig {
  const { waitForReady, timeout, maxRequestMessageBytes, maxResponseMessageBytes, retryPolicy, hedgingPolicy } = fields;
  if (retryPolicy !== undefined && hedgingPolicy !== undefined) refuse(at, "has both retryPolicy and hedgingPolicy");
  if (waitForReady !== undefined && typeof waitForReady !== "boolean")
    refuse(`${at}.waitForReady`, "must be a boolean");
  return {
    ...(typeof waitForReady === "boolean" ? { waitForReady } : {}),
    ...(timeout === undefined ? {} : { timeoutMs: durationMs(timeout, `${at}.timeout`) }),
    ...(maxRequestMessageBytes === undefined
      ? {}
      : { maxRequestBytes: integerOf(maxRequestMessageBytes, `${at}.maxRequestMessageBytes`, 0) }),
    ...(maxResponseMessageBytes === undefined
      ? {}
      : { maxResponseBytes: integerOf(maxResponseMessageBytes, `${at}.maxResponseMessageBytes`, 0) }),
    ...(retryPolicy === undefined ? {} : { retry: retryOf(retryPolicy, `${at}.retryPolicy`) }),
    ...(hedgingPolicy === undefined ? {} : { hedging: hedgingOf(hedgingPolicy, `${at}.hedgingPolicy`) }),
  };
}

function retryOf(value: unknown, at: string): RetryPolicy {
  const fields = fieldsOf(value, at);
  const retryableStatuses = statusesOf(fields["retryableStatusCodes"], `${at}.retryableStatusCodes`);
  if (retryableStatuses.size === 0) refuse(`${at}.retryableStatusCodes`, "must name at least one status");
  return {
    maxAttempts: integerOf(fields["maxAttempts"], `${at}.maxAttempts`, 2),
    initialBackoffMs: backoffOf(fields["initialBackoff"], `${at}.initialBackoff`),
    maxBackoffMs: backoffOf(fields["maxBackoff"], `${at}.maxBackoff`),
    backoffMultiplier: numberOf(fields["backoffMultiplier"], `${at}.backoffMultiplier`),
    retryableStatuses,
  };
}

function hedgingOf(value: unknown, at: string): HedgingPolicy {
  const fields = fieldsOf(value, at);
  return {
    maxAttempts: integerOf(fields["maxAttempts"], `${at}.maxAttempts`, 2),
    delayMs: fields["hedgingDelay"] === undefined ? 0 : durationMs(fields["hedgingDelay"], `${at}.hedgingDelay`),
    nonFatalStatuses: statusesOf(fields["nonFatalStatusCodes"] ?? [], `${at}.nonFatalStatusCodes`),
  };
}

function backoffOf(value: unknown, at: string): number {
  const ms = durationMs(value, at);
  return ms > 0 ? ms : refuse(at, "must be longer than nothing");
}

function throttlingOf(value: unknown, at: string): { maxTokens: number; tokenRatio: number } {
  const fields = fieldsOf(value, at);
  const maxTokens = integerOf(fields["maxTokens"], `${at}.maxTokens`, 1);
  if (maxTokens > 1000) refuse(`${at}.maxTokens`, "must be 1000 at the most");
  // Digits beyond the third after the point don't count (gRFC A6).
  const tokenRatio = Math.trunc(numberOf(fields["tokenRatio"], `${at}.tokenRatio`) * 1000) / 1000;
  return { maxTokens, tokenRatio };
}

function healthServiceOf(value: unknown, at: string): string | undefined {
  const name = fieldsOf(value, at)["serviceName"];
  if (name !== undefined && typeof name !== "string") refuse(`${at}.serviceName`, "must be text");
  return name;
}
