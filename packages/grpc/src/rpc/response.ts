import type { HeaderList } from "../http2/headers.ts";
import { parseStatus, Status, statusOfHttp } from "./status.ts";
import { decodeStatusMessage } from "./status-message.ts";

/** The value of `name` in `headers`. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) if (headers[index] === name) return headers[index + 1];
  return undefined;
}

/** Whether response headers are a gRPC response's; anything else is a proxy's or another server's. */
export function isGrpcResponse(headers: HeaderList): boolean {
  return headerValue(headers, ":status") === "200" && isGrpcContentType(headerValue(headers, "content-type"));
}

const grpcContentType = "application/grpc";
const protoContentType = "application/grpc+proto";

/** Whether `contentType` is gRPC's with protobuf messages, as plain `application/grpc` means; other formats can't be read here. */
export function isGrpcContentType(contentType: string | undefined): boolean {
  if (contentType === undefined) return false;
  if (contentType === grpcContentType || contentType === protoContentType) return true;
  return contentType.startsWith(`${grpcContentType};`) || contentType.startsWith(`${protoContentType};`);
}

/** How a call ended. */
export interface CallStatus {
  readonly status: number;
  readonly details: string;
}

/** Of nearly every call: one object for all of them. */
const ok: CallStatus = { status: Status.OK, details: "" };

/** The status that a peer's last headers carry: trailers, headers without a body, or an HTTP error. */
export function statusOfTrailers(trailers: HeaderList, peer: string): CallStatus {
  const code = headerValue(trailers, "grpc-status");
  if (code !== undefined) {
    const message = headerValue(trailers, "grpc-message");
    if (code === "0" && message === undefined) return ok;
    return { status: parseStatus(code), details: message === undefined ? "" : decodeStatusMessage(message) };
  }
  return statusOfHttpResponse(trailers, peer);
}

/** The status of headers that aren't gRPC's. */
export function statusOfHttpResponse(headers: HeaderList, peer: string): CallStatus {
  const httpStatus = headerValue(headers, ":status");
  if (httpStatus === undefined) {
    return { status: Status.UNKNOWN, details: `${peer} ended the call without a grpc-status` };
  }
  const contentType = headerValue(headers, "content-type");
  const what = contentType === undefined ? "no content type" : `content type ${JSON.stringify(contentType)}`;
  return {
    status: Status[statusOfHttp(httpStatus)],
    details: `${peer} answered HTTP ${httpStatus} with ${what} instead of a gRPC response`,
  };
}
