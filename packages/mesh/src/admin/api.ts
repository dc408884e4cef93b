import type { Clock } from "@weft/grpc/platform";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import type { Registry } from "../registry/registry.ts";
import type { ChangeResult, Sources } from "../sources/sources.ts";
import { StoreError } from "../store/database.ts";
import type { JoinTokens } from "../store/join-tokens.ts";
import type { Store } from "../store/store.ts";
import type { ErrorBody, Principal, StatusReport } from "./api-types.ts";
import {
  type Authenticate,
  credentialGuard,
  type GuardedEnv,
  hostGuard,
  refuse,
  roleGuard,
  securityHeaders,
  writeGuard,
} from "./guard.ts";

/** What the API shows and changes. */
export interface AdminBackend {
  readonly store: Store;
  readonly sources: Sources;
  readonly registry: Registry;
  readonly tokens: JoinTokens;
  readonly clock: Clock;
  readonly status: () => StatusReport;
}

/** Who may use the API, and under which names it is reached. */
export interface AdminAccess {
  readonly authenticate: Authenticate;
  /** `host:port` in each form that a client may write it. */
  readonly authorities: () => readonly string[];
  /** Told of what went wrong inside; the client learns nothing of it. */
  readonly onError: (error: unknown) => void;
}

const largestApplyBytes = 8 * 1024 * 1024;
const largestBodyBytes = 64 * 1024;

// Names end up in logs and terminals: no control characters.
const fileName = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[^\p{C}]+$/u);
const label = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[\w./-]+$/);
const applyBody = z.strictObject({
  files: z
    .array(z.strictObject({ file: fileName, text: z.string() }))
    .min(1)
    .max(1_000),
  defaultNamespace: label.optional(),
  dryRun: z.boolean().optional(),
});
const deleteBody = z.strictObject({
  resources: z
    .array(z.strictObject({ kind: label, namespace: label, name: label }))
    .min(1)
    .max(10_000),
});
// What names may be, the tokens say themselves, and why one may not.
const tokenBody = z.strictObject({
  namespace: fileName,
  serviceAccount: fileName,
  labels: z.record(fileName, z.string().max(512)).optional(),
  anyLabel: z.boolean().optional(),
  addresses: z.array(z.string().max(64)).max(64).optional(),
  ttlMs: z.int().positive().optional(),
  uses: z.int().positive().optional(),
});

/** The admin API. Every route but /healthz needs a credential; every answer that isn't a success is an ErrorBody. */
export function createAdminApi(backend: AdminBackend, access: AdminAccess): Hono<GuardedEnv> {
  const api = new Hono<GuardedEnv>();
  api.use(securityHeaders);
  api.use(hostGuard(access.authorities));
  api.get("/healthz", (context) => context.text("ok\n"));
  api.use(credentialGuard(access.authenticate));
  api.use(writeGuard);
  api.notFound((context) => refuse(context, 404, "WEFT0505", "there is nothing here"));
  api.onError((error, context) => {
    access.onError(error);
    if (error instanceof StoreError) return refuse(context, 507, "WEFT0507", error.message, "nothing was changed");
    return refuse(context, 500, "WEFT0507", "an internal error; the control plane's log has it");
  });
  addReading(api, backend);
  addResourceChanges(api, backend);
  addTokens(api, backend);
  return api;
}

function addReading(api: Hono<GuardedEnv>, { store, sources, registry, status }: AdminBackend): void {
  api.get("/api/v1/status", (context) => context.json(status()));
  api.get("/api/v1/diagnostics", (context) => context.json({ diagnostics: sources.diagnostics }));
  api.get("/api/v1/interfaces", (context) => context.json({ interfaces: registry.interfaces() }));
  api.get("/api/v1/audit", roleGuard("admin"), (context) => context.json({ entries: store.audit.latest(500) }));
  api.get("/api/v1/resources/:kind?", (context) => {
    const { kind } = context.req.param();
    return context.json({ resources: sources.list({ kind, namespace: context.req.query("namespace") }) });
  });
  api.get("/api/v1/resources/:kind/:namespace/:name", (context) => {
    const key = context.req.param();
    const found = sources.get(key);
    if (found !== undefined) return context.json(found);
    return refuse(context, 404, "WEFT0505", `there is no ${key.kind}/${key.namespace}/${key.name}`);
  });
}

function addResourceChanges(api: Hono<GuardedEnv>, { store, sources, clock }: AdminBackend): void {
  const audit = (principal: Principal, action: string, result: ChangeResult): void => {
    const subject =
      result.kind === "applied"
        ? result.outcomes.map((each) => `${each.kind}/${each.namespace}/${each.name} ${each.change}`)
        : [];
    store.audit.append({
      atMs: clock.now(),
      principal: principal.name,
      action,
      subject: subject.join(", "),
      outcome: result.kind === "applied" ? "allowed" : "refused",
      detail: result.diagnostics.map(({ code, message }) => `${code} ${message}`).join("; "),
    });
  };

  api.post("/api/v1/apply", roleGuard("editor"), limit(largestApplyBytes), async (context) => {
    const body = await jsonBody(context.req.raw, applyBody);
    if (body === undefined) return refuse(context, 400, "WEFT0504", "the body is not what apply takes");
    const result = await sources.apply({
      files: body.files,
      defaultNamespace: body.defaultNamespace,
      dryRun: body.dryRun === true,
    });
    if (body.dryRun !== true) audit(context.var.principal, "apply", result);
    return context.json(result, statusOf(result));
  });
  api.post("/api/v1/delete", roleGuard("editor"), limit(largestBodyBytes * 16), async (context) => {
    const body = await jsonBody(context.req.raw, deleteBody);
    if (body === undefined) return refuse(context, 400, "WEFT0504", "the body is not what delete takes");
    const result = await sources.delete(body.resources);
    audit(context.var.principal, "delete", result);
    return context.json(result, statusOf(result));
  });
  api.delete("/api/v1/resources/:kind/:namespace/:name", roleGuard("editor"), async (context) => {
    const result = await sources.delete([context.req.param()]);
    audit(context.var.principal, "delete", result);
    return context.json(result, statusOf(result));
  });
}

function addTokens(api: Hono<GuardedEnv>, { store, tokens, clock }: AdminBackend): void {
  api.use("/api/v1/tokens/*", roleGuard("admin"));
  api.get("/api/v1/tokens", (context) => context.json({ tokens: tokens.list() }));
  api.post("/api/v1/tokens", limit(largestBodyBytes), async (context) => {
    const body = await jsonBody(context.req.raw, tokenBody);
    if (body === undefined) return refuse(context, 400, "WEFT0504", "the body is not what a token is made of");
    const created = tokens.create(body);
    const isRefused = "severity" in created;
    store.audit.append({
      atMs: clock.now(),
      principal: context.var.principal.name,
      action: "token.create",
      subject: `${body.namespace}/${body.serviceAccount}`,
      outcome: isRefused ? "refused" : "allowed",
      detail: isRefused ? `${created.code} ${created.message}` : created.id,
    });
    return isRefused ? context.json({ diagnostics: [created] } satisfies ErrorBody, 422) : context.json(created, 201);
  });
  api.delete("/api/v1/tokens/:id", (context) => {
    const { id } = context.req.param();
    if (!tokens.revoke(id)) return refuse(context, 404, "WEFT0401", `there is no token ${id.slice(0, 64)}`);
    const principal = context.var.principal.name;
    store.audit.append({
      atMs: clock.now(),
      principal,
      action: "token.revoke",
      subject: id,
      outcome: "allowed",
      detail: "",
    });
    return context.body(null, 204);
  });
}

function limit(maxSize: number): ReturnType<typeof bodyLimit> {
  return bodyLimit({
    maxSize,
    onError: (context) => refuse(context, 413, "WEFT0504", `the body is larger than ${maxSize} bytes`),
  });
}

async function jsonBody<T>(request: Request, schema: z.ZodType<T>): Promise<T | undefined> {
  let json: unknown;
  try {
    json = await request.json();
  } catch {
    // Malformed or cut short: the caller answers that the body is not what the route takes.
    return undefined;
  }
  const parsed = schema.safeParse(json);
  return parsed.success ? parsed.data : undefined;
}

function statusOf(result: ChangeResult): 200 | 404 | 409 | 422 {
  if (result.kind === "applied") return 200;
  const codes = result.diagnostics.filter(({ severity }) => severity === "error").map(({ code }) => code);
  if (codes.includes("WEFT0506")) return 409;
  return codes.includes("WEFT0505") ? 404 : 422;
}
