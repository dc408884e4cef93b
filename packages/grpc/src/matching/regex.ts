import { RE2JS } from "re2js";

// Every update of a route table names mostly the same patterns; compiling costs far more than matching.
const compiled = new Map<string, RE2JS>();
const compiledLimit = 512;

function compile(pattern: string): RE2JS {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const regex = RE2JS.compile(pattern);
  if (compiled.size >= compiledLimit) {
    for (const oldest of compiled.keys()) {
      compiled.delete(oldest);
      break;
    }
  }
  compiled.set(pattern, regex);
  return regex;
}

/** Why `pattern` is not a regular expression of RE2's syntax, or undefined where it is one. */
export function regexProblem(pattern: string): string | undefined {
  try {
    compile(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * A predicate that is true when the *whole* value matches (as Envoy's safe_regex does), in time linear to the value.
 *
 * Throws on a pattern that `regexProblem` has something to say about.
 */
export function regexPredicate(pattern: string): (value: string) => boolean {
  const regex = compile(pattern);
  return (value) => regex.testExact(value);
}
