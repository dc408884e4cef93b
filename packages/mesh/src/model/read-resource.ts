import { z } from "zod";
import { destinationRuleSchema, destinationRuleSpecOf } from "./destination-rule-schema.ts";
import { findKind } from "./kinds.ts";
import { checkMetadata, type Metadata, metadataSchema } from "./metadata.ts";
import { peerAuthenticationSchema, peerAuthenticationSpecOf } from "./peer-authentication-schema.ts";
import type { Report } from "./report.ts";
import type { Resource, ResourceKind } from "./resource.ts";
import { reportIssues } from "./schema-findings.ts";
import { serviceSchema, serviceSpecOf } from "./service-schema.ts";
import { takeOutUnsupported } from "./unsupported-fields.ts";
import { virtualServiceSchema, virtualServiceSpecOf } from "./virtual-service-schema.ts";

type WithoutOrigin<T> = T extends Resource ? Omit<T, "origin"> : never;

/** A resource before it is said where it was written. */
export type ReadResource = WithoutOrigin<Resource>;

const documentSchema = <Spec extends z.ZodType>(spec: Spec) =>
  z.strictObject({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: metadataSchema,
    spec,
    // Written by Kubernetes, never by people.
    status: z.unknown().optional(),
  });

const schemas = {
  Service: documentSchema(serviceSchema),
  DestinationRule: documentSchema(destinationRuleSchema),
  VirtualService: documentSchema(virtualServiceSchema),
  PeerAuthentication: documentSchema(peerAuthenticationSchema.default({})),
} as const;

/**
 * The resource that one document describes. Undefined where the document doesn't say which resource it is; a resource
 * about which errors were reported only tells its name.
 */
export function readResource(value: unknown, defaultNamespace: string, report: Report): ReadResource | undefined {
  const kind = findKind(value, report);
  if (kind === undefined) return undefined;
  takeOutUnsupported(kind, value, report);
  switch (kind) {
    case "Service":
      return read(kind, schemas[kind], value, defaultNamespace, report, serviceSpecOf, { ports: [] });
    case "DestinationRule":
      return read(kind, schemas[kind], value, defaultNamespace, report, destinationRuleSpecOf, {
        host: "",
        subsets: [],
      });
    case "VirtualService":
      return read(kind, schemas[kind], value, defaultNamespace, report, virtualServiceSpecOf, { hosts: [], http: [] });
    case "PeerAuthentication":
      return read(kind, schemas[kind], value, defaultNamespace, report, peerAuthenticationSpecOf, {
        mode: "UNSET",
        portModes: {},
      });
  }
}

interface Written<Spec> {
  readonly apiVersion: string;
  readonly metadata: Metadata;
  readonly spec: Spec;
}

function read<Kind extends ResourceKind, WrittenSpec, Spec>(
  kind: Kind,
  schema: z.ZodType<Written<WrittenSpec>>,
  value: unknown,
  defaultNamespace: string,
  report: Report,
  specOf: (written: WrittenSpec, report: Report) => Spec,
  unread: Spec,
): ({ kind: Kind; spec: Spec } & Omit<ReadResource, "kind" | "spec">) | undefined {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) {
    const { apiVersion, metadata, spec } = parsed.data;
    checkMetadata(metadata, kind === "Service", report);
    const { name, namespace = defaultNamespace, labels = {}, creationTimestamp } = metadata;
    const createdAtMs = creationTimestamp ? Date.parse(creationTimestamp) : 0;
    return { kind, apiVersion, name, namespace, labels, createdAtMs, spec: specOf(spec, report) };
  }
  reportIssues(parsed.error.issues, schema, report);
  const reference = referenceSchema.safeParse(value).data?.metadata;
  if (reference === undefined) return undefined;
  const { name, namespace = defaultNamespace } = reference;
  return { kind, apiVersion: "", name, namespace, labels: {}, createdAtMs: 0, spec: unread };
}

const referenceSchema = z.object({ metadata: z.object({ name: z.string(), namespace: z.string().optional() }) });
