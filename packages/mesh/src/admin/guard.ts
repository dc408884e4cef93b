import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { errorAbout } from "../model/diagnostic.ts";
import type { DiagnosticCode } from "../model/diagnostic-codes.ts";
import type { ErrorBody, Principal, Role } from "./api-types.ts";

/** What a request carries once it has passed the guards. */
export interface GuardedEnv {
  readonly Variables: { readonly principal: Principal };
}

/** An answer that refuses, in the API's one form. */
export function refuse(
  context: Context,
  status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 422 | 500 | 507,
  code: DiagnosticCode,
  message: string,
  hint?: string,
): Response {
  const body: ErrorBody = {
    diagnostics: [errorAbout(code, message, { file: new URL(context.req.url).pathname.slice(0, 256), hint })],
  };
  return context.json(body, status);
}

/** Nothing that this API answers may be shown, framed, cached, or guessed the type of by a browser. */
export const securityHeaders: MiddlewareHandler = async (context, next) => {
  await next();
  const { headers } = context.res;
  headers.set(
    "content-security-policy",
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  );
  headers.set("cross-origin-resource-policy", "same-origin");
  headers.set("x-content-type-options", "nosniff");
  headers.set("x-frame-options", "DENY");
  headers.set("referrer-policy", "no-referrer");
  headers.set("cache-control", "no-store");
};

/**
 * Only requests meant for this server: a Host of its own, and no page of another origin behind them.
 *
 * A page that made its own name resolve to 127.0.0.1 (DNS rebinding) still sends that name as Host.
 */
export function hostGuard(authorities: () => readonly string[]): MiddlewareHandler {
  return async (context, next) => {
    const allowed = authorities();
    const host = context.req.header("host")?.toLowerCase();
    if (host === undefined || !allowed.includes(host)) {
      return refuse(context, 403, "WEFT0502", "the Host header is not one of this server's", `use ${allowed[0]}`);
    }
    const origin = context.req.header("origin")?.toLowerCase();
    if (origin !== undefined && !allowed.some((authority) => origin === `http://${authority}`)) {
      return refuse(context, 403, "WEFT0502", "a page of another origin may not use this API");
    }
    const site = context.req.header("sec-fetch-site");
    if (site !== undefined && site !== "same-origin" && site !== "none") {
      return refuse(context, 403, "WEFT0502", "a page of another site may not use this API");
    }
    return next();
  };
}

/** Finds who a bearer token belongs to. */
export type Authenticate = (token: string) => Principal | undefined;

/** One token, compared without its length or content showing in the time it takes. */
export function singleCredential(token: string, principal: Principal): Authenticate {
  const expected = sha256(token);
  return (offered) => (timingSafeEqual(sha256(offered), expected) ? principal : undefined);
}

/** Only requests with a valid credential, on loopback too: other users' processes are there as well. */
export function credentialGuard(authenticate: Authenticate): MiddlewareHandler<GuardedEnv> {
  return async (context, next) => {
    const token = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(context.req.header("authorization") ?? "")?.[1];
    const principal = token === undefined ? undefined : authenticate(token);
    if (principal === undefined) {
      context.header("www-authenticate", 'Bearer realm="weft"');
      return refuse(context, 401, "WEFT0501", "the request carries no valid credential");
    }
    context.set("principal", principal);
    return next();
  };
}

/** The header that every write must carry: a page of another origin can't set it without asking first, and is never answered. */
export const writeHeader = "x-weft-request";

export const writeGuard: MiddlewareHandler = async (context, next) => {
  const { method } = context.req;
  if (method !== "GET" && method !== "HEAD" && context.req.header(writeHeader) !== "1") {
    return refuse(context, 403, "WEFT0503", "a change needs the header X-Weft-Request: 1");
  }
  return next();
};

const ranks: Readonly<Record<Role, number>> = { viewer: 0, editor: 1, admin: 2 };

/** Only principals of at least this role. */
export function roleGuard(role: Role): MiddlewareHandler<GuardedEnv> {
  return async (context, next) => {
    const { principal } = context.var;
    if (ranks[principal.role] >= ranks[role]) return next();
    return refuse(context, 403, "WEFT0508", `this needs the role ${role}, and ${principal.name} is ${principal.role}`);
  };
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
