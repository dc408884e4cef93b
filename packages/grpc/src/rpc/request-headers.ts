import type { Metadata } from "./metadata.ts";

/** By length, and used again for each call: lists of its own would be a tenth of what a call leaves to the collector. */
const lists: string[][] = [];
const longestKept = 64;
const none: string[] = [];

/**
 * What a request has beside its head: `timeout` and then `metadata`, as they go on the wire.
 *
 * Valid until the next call of this function; not to be changed.
 */
export function requestHeaders(timeout: string | undefined, metadata: Metadata | undefined): string[] {
  const list = metadata === undefined ? none : metadata.wholeList;
  if (list === undefined) return copiedHeaders(timeout, metadata!);
  const from = timeout === undefined ? 0 : 2;
  const length = from + list.length;
  if (length === 0) return none;
  const headers = lists[length] ?? makeList(length);
  if (timeout !== undefined) {
    headers[0] = "grpc-timeout";
    headers[1] = timeout;
  }
  for (let index = 0; index < list.length; index++) headers[from + index] = list[index]!;
  return headers;
}

/** Of metadata that came from a peer, some stays behind. */
function copiedHeaders(timeout: string | undefined, metadata: Metadata): string[] {
  const headers = timeout === undefined ? [] : ["grpc-timeout", timeout];
  metadata.appendTo(headers);
  return headers;
}

function makeList(length: number): string[] {
  // Pushed, not filled: `new Array(length)` would be of another kind than the lists that it meets in the encoder.
  const list: string[] = [];
  for (let index = 0; index < length; index++) list.push("");
  if (length <= longestKept) lists[length] = list;
  return list;
}
