import { Metadata, RpcError } from "@weft/grpc";
import type { ForwardEchoRequest } from "@weft/xds-api/echo/echo";

/** A ForwardEcho request with defaults filled in and limits checked. */
export interface ForwardRequest {
  /** What a channel dials: `xds:///host:port`, or `host:port` for `grpc://host:port`. */
  readonly target: string;
  readonly usesXds: boolean;
  readonly count: number;
  /** Requests started per second; 0 means as fast as they are answered. */
  readonly qps: number;
  /** For the whole batch, and for each call in it. */
  readonly timeoutMs: number;
  readonly message: string;
  readonly metadata: Metadata;
  /** The `Host` header: the authority that the calls carry. */
  readonly authority: string | undefined;
  readonly newConnectionPerRequest: boolean;
}

const maxCount = 100_000;
const defaultTimeoutMs = 5000;

/** Throws INVALID_ARGUMENT for what this instance cannot forward, saying what it can. */
export function parseForwardRequest(request: ForwardEchoRequest): ForwardRequest {
  const { target, usesXds } = parseUrl(request.url);
  if (request.count < 0 || request.count > maxCount) {
    throw new RpcError("INVALID_ARGUMENT", `count is ${request.count}; it may be 1 to ${maxCount}`);
  }
  const metadata = new Metadata();
  let authority: string | undefined;
  for (const header of request.headers) {
    if (header.key.toLowerCase() === "host") authority = header.value;
    else metadata.append(header.key, header.value);
  }
  return {
    target,
    usesXds,
    count: request.count === 0 ? 1 : request.count,
    qps: Math.max(0, request.qps),
    timeoutMs: request.timeoutMicros > 0n ? Number(request.timeoutMicros / 1000n) : defaultTimeoutMs,
    message: request.message,
    metadata,
    authority,
    newConnectionPerRequest: request.newConnectionPerRequest,
  };
}

function parseUrl(url: string): { target: string; usesXds: boolean } {
  if (url.startsWith("xds:///") && url.length > "xds:///".length) return { target: url, usesXds: true };
  const grpc = /^grpc:\/\/([^/]+)\/?$/.exec(url);
  if (grpc?.[1] !== undefined) return { target: grpc[1], usesXds: false };
  throw new RpcError("INVALID_ARGUMENT", `cannot forward to "${url}": use xds:///host:port or grpc://host:port`);
}
