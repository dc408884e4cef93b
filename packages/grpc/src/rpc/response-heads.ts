import { type HeaderList, HeaderTemplate } from "../http2/headers.ts";
import { acceptedEncodings, type MessageEncoding } from "./compression.ts";

// The constant headers of a server's responses.

const responseStart = [":status", "200", "content-type", "application/grpc", "grpc-accept-encoding", acceptedEncodings];

export const responseHead = new HeaderTemplate(responseStart);
export const unsupportedMediaType = new HeaderTemplate([":status", "415"]);
export const methodNotAllowed = new HeaderTemplate([":status", "405", "allow", "POST"]);

export const compressedHead = templates((encoding: MessageEncoding) => [...responseStart, "grpc-encoding", encoding]);
/** Trailers of a response that had headers. */
export const statusTrailers = templates((status: number) => ["grpc-status", `${status}`]);
/** A response that is nothing but its status. */
export const statusOnly = templates((status: number) => [...responseStart, "grpc-status", `${status}`]);

/** Templates that are made as they are used: all at once took 2 ms of a process's start, also of one that only calls. */
function templates<Key>(headersOf: (key: Key) => HeaderList): (key: Key) => HeaderTemplate {
  const made = new Map<Key, HeaderTemplate>();
  return (key) => {
    let template = made.get(key);
    if (template === undefined) {
      template = new HeaderTemplate(headersOf(key));
      made.set(key, template);
    }
    return template;
  };
}
