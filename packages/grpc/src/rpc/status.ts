/** The status codes of gRPC, by name. */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** The name of a status code. */
export type StatusName = keyof typeof Status;

const names = Object.keys(Status) as StatusName[];

/** The name of `code`; a number that gRPC doesn't define is UNKNOWN. */
export function statusName(code: number): StatusName {
  return names[code] ?? "UNKNOWN";
}

/** `grpc-status` as a number; a text that isn't one of the defined codes is UNKNOWN, never OK. */
export function parseStatus(text: string): number {
  if (text === "0") return Status.OK;
  const code = /^\d{1,2}$/.test(text) ? Number(text) : Status.UNKNOWN;
  return code < names.length ? code : Status.UNKNOWN;
}

/** What an HTTP response without `grpc-status` means (gRPC's http-grpc-status-mapping). */
export function statusOfHttp(httpStatus: string | undefined): StatusName {
  switch (httpStatus) {
    case "400":
      return "INTERNAL";
    case "401":
      return "UNAUTHENTICATED";
    case "403":
      return "PERMISSION_DENIED";
    case "404":
      return "UNIMPLEMENTED";
    case "429":
    case "502":
    case "503":
    case "504":
      return "UNAVAILABLE";
    default:
      return "UNKNOWN";
  }
}

/** What a stream that was reset with an HTTP/2 error code means (PROTOCOL-HTTP2, "Errors"). */
export function statusOfReset(code: number): StatusName {
  switch (code) {
    case 0x7: // REFUSED_STREAM
      return "UNAVAILABLE";
    case 0x8: // CANCEL
      return "CANCELLED";
    case 0xb: // ENHANCE_YOUR_CALM
      return "RESOURCE_EXHAUSTED";
    case 0xc: // INADEQUATE_SECURITY
      return "PERMISSION_DENIED";
    default:
      return "INTERNAL";
  }
}
