/** HTTP/2 error codes as RST_STREAM and GOAWAY carry them (RFC 9113 §7). */
export const ErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

const names = new Map<number, string>(Object.entries(ErrorCode).map(([name, code]) => [code, name]));

/** The name of an HTTP/2 error code; a number that the RFC doesn't name is shown in hexadecimal. */
export function errorCodeName(code: number): string {
  return names.get(code) ?? `0x${code.toString(16)}`;
}

/** Which limit a peer ran into (or we, into one of the peer's); `Http2Error.limit` carries it. */
export type LimitName =
  | "concurrent-streams"
  | "header-list"
  | "peer-header-list"
  | "continuation"
  | "settings-flood"
  | "ping-flood"
  | "reset-flood"
  | "empty-frame-flood"
  | "control-frame-flood"
  | "outbound-queue"
  | "window-stall"
  | "write-stall"
  | "preface-timeout"
  | "settings-timeout";

/** What an `Http2Error` carries besides its message. */
export interface Http2ErrorDetails {
  /** The peer told us (RST_STREAM, GOAWAY, closed socket); otherwise this side decided. */
  readonly remote?: boolean;
  /** The peer certainly did nothing with the stream: refused, or above GOAWAY's last id. Safe to retry. */
  readonly unprocessed?: boolean;
  /** The connection failed, not only one stream. */
  readonly connection?: boolean;
  readonly limit?: LimitName;
  readonly cause?: unknown;
}

/**
 * Why a stream or a connection ended other than normally.
 *
 * `code` is the HTTP/2 error code; a socket that broke without GOAWAY has INTERNAL_ERROR on `connection` with the socket's error as `cause`.
 */
export class Http2Error extends Error {
  override readonly name = "Http2Error";
  readonly code: number;
  readonly remote: boolean;
  readonly unprocessed: boolean;
  readonly connection: boolean;
  readonly limit: LimitName | undefined;

  constructor(code: number, message: string, details: Http2ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.remote = details.remote ?? false;
    this.unprocessed = details.unprocessed ?? false;
    this.connection = details.connection ?? false;
    this.limit = details.limit;
  }
}
