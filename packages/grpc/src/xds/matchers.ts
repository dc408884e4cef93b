import type { HeaderMatcher } from "@weft/xds-api/envoy/config/route/v3/route_components";
import type { RegexMatcher } from "@weft/xds-api/envoy/type/matcher/v3/regex";
import type { StringMatcher } from "@weft/xds-api/envoy/type/matcher/v3/string";
import type { HeaderMatch } from "../matching/header-match.ts";
import { regexProblem } from "../matching/regex.ts";
import type { StringMatch } from "../matching/string-match.ts";
import { invalid, quoted, within } from "./invalid-resource.ts";

/** A regular expression, checked to be one of RE2's. */
export function parseRegex(matcher: RegexMatcher): StringMatch {
  const problem = regexProblem(matcher.regex);
  if (problem !== undefined) invalid(`regular expression ${quoted(matcher.regex)}: ${problem}`);
  return { kind: "regex", pattern: matcher.regex };
}

/** Envoy's StringMatcher (gRFC A63). */
export function parseStringMatcher(matcher: StringMatcher): StringMatch {
  const pattern = matcher.matchPattern;
  switch (pattern?.$case) {
    case "exact":
      return { kind: "exact", value: pattern.value, ignoreCase: matcher.ignoreCase };
    case "prefix":
    case "suffix":
    case "contains":
      if (pattern.value === "") invalid(`an empty ${pattern.$case} matches everything`);
      return { kind: pattern.$case, value: pattern.value, ignoreCase: matcher.ignoreCase };
    case "safeRegex":
      return parseRegex(pattern.value);
    default:
      return invalid(`string matcher kind ${pattern?.$case ?? "unset"} is not supported`);
  }
}

/** Envoy's HeaderMatcher (gRFC A28, A63). Its treat_missing_header_as_empty has no effect in gRPC. */
export function parseHeaderMatcher(matcher: HeaderMatcher): HeaderMatch {
  if (matcher.name === "") invalid("header matcher without a name");
  return within(`header ${quoted(matcher.name)}`, () => ({
    name: matcher.name.toLowerCase(),
    invert: matcher.invertMatch,
    test: parseHeaderTest(matcher.headerMatchSpecifier),
  }));
}

function parseHeaderTest(specifier: HeaderMatcher["headerMatchSpecifier"]): HeaderMatch["test"] {
  switch (specifier?.$case) {
    case "exactMatch":
      return text("exact", specifier.value);
    case "prefixMatch":
      return text("prefix", specifier.value);
    case "suffixMatch":
      return text("suffix", specifier.value);
    case "containsMatch":
      return text("contains", specifier.value);
    case "safeRegexMatch":
      return { kind: "string", match: parseRegex(specifier.value) };
    case "stringMatch":
      return { kind: "string", match: parseStringMatcher(specifier.value) };
    case "presentMatch":
      return { kind: "present", present: specifier.value };
    case "rangeMatch": {
      const { start, end } = specifier.value;
      if (start > end) invalid(`range from ${start} to ${end}`);
      return { kind: "range", start, end };
    }
    case undefined:
      // Nothing set means presence, as Envoy reads it.
      return { kind: "present", present: true };
    default:
      return invalid("header matcher of an unknown kind");
  }
}

function text(kind: "exact" | "prefix" | "suffix" | "contains", value: string): HeaderMatch["test"] {
  if (kind !== "exact" && value === "") invalid(`an empty ${kind} matches everything`);
  return { kind: "string", match: { kind, value, ignoreCase: false } };
}
