/** How far a proxy's answer to CONNECT has come. */
export type ConnectAnswer =
  | { readonly kind: "incomplete" }
  /** What comes next is the other side's; `rest` is what is here of it. */
  | { readonly kind: "connected"; readonly rest: Buffer }
  /** `status`: the code, and the reason that the proxy gives, `403 Forbidden`. */
  | { readonly kind: "refused"; readonly status: string }
  | { readonly kind: "too-long" }
  /** `beginning`: of what came instead, for a person. */
  | { readonly kind: "no-http"; readonly beginning: string };

/** What an answer may weigh up to its blank line: as much as Node's own HTTP takes. */
export const largestAnswerBytes = 16 * 1024;

const blankLine = "\r\n\r\n";
const protocol = "HTTP/1.";
const statusLine = /^HTTP\/1\.[01] ([1-5]\d\d)(?: (.*))?\r\n$/;
/** More of what is no HTTP is of no use to a person. */
const longestBeginning = 100;

/**
 * Reads the answer that `bytes`, everything that came since the request, begin with (RFC 9112 §4, RFC 9110 §9.3.6).
 *
 * Only the status counts. What is no HTTP is told as soon as it can be known, for it may never come to a blank line.
 */
export function readConnectAnswer(bytes: Buffer): ConnectAnswer {
  let start = 0;
  for (;;) {
    const line = firstLine(bytes, start);
    const status = statusLine.exec(line);
    const isBegun = !line.endsWith("\n") && protocol.startsWith(line.slice(0, protocol.length));
    if (status === null && !isBegun) return { kind: "no-http", beginning: printable(line.slice(0, longestBeginning)) };
    const end = bytes.indexOf(blankLine, start, "latin1");
    const length = end === -1 ? bytes.length + 1 : end + blankLine.length;
    if (length > largestAnswerBytes) return { kind: "too-long" };
    if (status === null || end === -1) return { kind: "incomplete" };
    const [, code = "", reason = ""] = status;
    start = length;
    if (code.startsWith("2")) return { kind: "connected", rest: bytes.subarray(start) };
    // 1xx comes before the answer; 101 would be a protocol that nobody asked for.
    const isInterim = code.startsWith("1") && code !== "101";
    if (!isInterim) return { kind: "refused", status: printable(`${code} ${reason}`) };
  }
}

/** With its end, if that is here. */
function firstLine(bytes: Buffer, start: number): string {
  const end = bytes.indexOf("\n", start, "latin1");
  return bytes.toString("latin1", start, Math.min(end === -1 ? bytes.length : end + 1, start + largestAnswerBytes));
}

/** Without what a log would take for more than text. */
function printable(text: string): string {
  return text.trim().replace(/[^\x20-\x7e]/g, "?");
}
