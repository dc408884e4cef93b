import { type StringMatch, stringPredicate } from "./string-match.ts";

/** What one header must look like (gRFC A28, A63). */
export interface HeaderMatch {
  readonly name: string;
  readonly invert: boolean;
  readonly test:
    | { readonly kind: "present"; readonly present: boolean }
    /** start ≤ value < end, of a decimal 64-bit integer. */
    | { readonly kind: "range"; readonly start: bigint; readonly end: bigint }
    | { readonly kind: "string"; readonly match: StringMatch };
}

/** Where a matcher reads the call's headers: metadata has this shape. Names are lower-case. */
export interface HeaderValues {
  getAll(name: string): readonly (string | Uint8Array)[];
}

export type HeaderPredicate = (headers: HeaderValues) => boolean;

const never: HeaderPredicate = () => false;

/** The header as a matcher sees it: several values joined by commas; undefined where there is none. */
function headerValue(headers: HeaderValues, name: string): string | undefined {
  // Put on the wire below the matcher, yet visible to it: gRFC A28.
  if (name === "content-type") return "application/grpc";
  const values = headers.getAll(name);
  if (values.length === 0) return undefined;
  return values.length === 1 ? String(values[0]) : values.join(",");
}

function inRange(value: string, start: bigint, end: bigint): boolean {
  // 20 characters hold every 64-bit integer; longer text can only be out of range, and BigInt of it costs.
  if (value.length > 20 || !/^[+-]?\d+$/.test(value)) return false;
  const integer = BigInt(value.startsWith("+") ? value.slice(1) : value);
  return integer >= start && integer < end;
}

/**
 * `match` as a predicate over a call's headers.
 *
 * Binary headers never match. A header that is missing matches no test but presence, inverted or not.
 */
export function headerPredicate(match: HeaderMatch): HeaderPredicate {
  const name = match.name.toLowerCase();
  if (name.endsWith("-bin")) return never;
  const { test, invert } = match;
  switch (test.kind) {
    case "present": {
      const wanted = test.present !== invert;
      return (headers) => (headerValue(headers, name) !== undefined) === wanted;
    }
    case "range": {
      const { start, end } = test;
      return (headers) => {
        const value = headerValue(headers, name);
        return value !== undefined && inRange(value, start, end) !== invert;
      };
    }
    case "string": {
      const matches = stringPredicate(test.match);
      return (headers) => {
        const value = headerValue(headers, name);
        return value !== undefined && matches(value) !== invert;
      };
    }
  }
}
