const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
const pattern = /^(\d{1,8})([HMSmun])$/;
const mostDigits = 99_999_999;

let lastMs = -1;
let lastText = "";

/**
 * `timeoutMs` as `grpc-timeout`: at most 8 digits, rounded up, in the finest unit that fits from milliseconds on.
 *
 * Rounded up, so that the server never gives up before the client does. Nothing left is `1n`: the header can't say 0
 * to every server.
 */
export function formatTimeout(timeoutMs: number): string {
  if (timeoutMs <= 0) return "1n";
  const ms = Math.ceil(timeoutMs);
  // Calls of one client mostly have the same deadline.
  if (ms !== lastMs) {
    lastText = format(ms);
    lastMs = ms;
  }
  return lastText;
}

function format(ms: number): string {
  if (ms <= mostDigits) return `${ms}m`;
  if (ms <= mostDigits * 1000) return `${Math.ceil(ms / 1000)}S`;
  if (ms <= mostDigits * 60_000) return `${Math.ceil(ms / 60_000)}M`;
  return `${Math.min(Math.ceil(ms / 3_600_000), mostDigits)}H`;
}

let parsedText = "";
let parsedMs: number | undefined;

/** The milliseconds that a `grpc-timeout` names; undefined when it is malformed. */
export function parseTimeout(text: string): number | undefined {
  // Calls of one client mostly have the same deadline here too.
  if (text === parsedText) return parsedMs;
  const match = pattern.exec(text);
  parsedMs = match === null ? undefined : Number(match[1]) * unitMs[match[2]!]!;
  parsedText = text;
  return parsedMs;
}
