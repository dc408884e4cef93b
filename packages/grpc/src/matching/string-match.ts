import { regexPredicate } from "./regex.ts";

/** What a string must look like: plain data, so that two configurations compare by value. */
export type StringMatch =
  | {
      readonly kind: "exact" | "prefix" | "suffix" | "contains";
      readonly value: string;
      readonly ignoreCase: boolean;
    }
  | { readonly kind: "regex"; readonly pattern: string };

export type StringPredicate = (value: string) => boolean;

function plainPredicate(kind: "exact" | "prefix" | "suffix" | "contains", expected: string): StringPredicate {
  switch (kind) {
    case "exact":
      return (value) => value === expected;
    case "prefix":
      return (value) => value.startsWith(expected);
    case "suffix":
      return (value) => value.endsWith(expected);
    case "contains":
      return (value) => value.includes(expected);
  }
}

/** `match` as a predicate. Throws on a regular expression that was not validated before. */
export function stringPredicate(match: StringMatch): StringPredicate {
  if (match.kind === "regex") return regexPredicate(match.pattern);
  if (!match.ignoreCase) return plainPredicate(match.kind, match.value);
  const folded = plainPredicate(match.kind, match.value.toLowerCase());
  return (value) => folded(value.toLowerCase());
}
