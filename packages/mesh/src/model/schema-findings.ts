import type { z } from "zod";
import { nearest } from "./nearest.ts";
import { formatPath, type Report } from "./report.ts";
import type { FieldPath } from "./yaml-text.ts";

type Schema = z.core.$ZodType;

/** Reports what zod found: unknown fields with the nearest known one, wrong types, wrong values. */
export function reportIssues(issues: readonly z.core.$ZodIssue[], schema: Schema, report: Report): void {
  for (const issue of issues) {
    const path = issue.path.filter((segment): segment is string | number => typeof segment !== "symbol");
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) reportUnknown([...path, key], key, fieldsAt(schema, path), report);
      continue;
    }
    const field = formatPath(path);
    if (issue.code === "invalid_type") {
      const hint =
        issue.expected === "string" && (typeof issue.input === "number" || typeof issue.input === "boolean")
          ? `write it in quotes: "${issue.input}"`
          : undefined;
      const message =
        issue.input === undefined
          ? `${field} is missing`
          : `${field} must be ${article(issue.expected)}, not ${article(typeName(issue.input))}`;
      report({ severity: "error", code: "WEFT0011", message, path, hint });
    } else if (issue.code === "invalid_value") {
      const accepted = issue.values.map(String);
      const near = typeof issue.input === "string" ? nearest(issue.input, accepted) : undefined;
      report({
        severity: "error",
        code: "WEFT0012",
        message: `${field} must be ${accepted.join(" or ")}, not ${shown(issue.input)}`,
        path,
        hint: near === undefined ? undefined : `did you mean ${near}?`,
      });
    } else {
      report({ severity: "error", code: "WEFT0012", message: `${field}: ${lowerFirst(issue.message)}`, path });
    }
  }
}

function reportUnknown(path: FieldPath, key: string, known: readonly string[], report: Report): void {
  const near = nearest(key, known);
  report({
    severity: "error",
    code: "WEFT0010",
    message: `unknown field ${formatPath(path)}`,
    path,
    hint: near === undefined ? undefined : `did you mean ${near}?`,
    atKey: true,
  });
}

/** The fields that a schema knows at a path. */
function fieldsAt(schema: Schema, path: FieldPath): readonly string[] {
  let at: Schema | undefined = schema;
  for (const segment of path) at = at && childOf(at, segment);
  const object = at && unwrapped(at);
  return object?._zod.def.type === "object" ? Object.keys((object as z.ZodObject)._zod.def.shape) : [];
}

function childOf(schema: Schema, segment: string | number): Schema | undefined {
  const inner = unwrapped(schema);
  const { type } = inner._zod.def;
  if (type === "object") return (inner as z.ZodObject)._zod.def.shape[segment];
  if (type === "array") return (inner as z.ZodArray)._zod.def.element;
  if (type === "record") return (inner as z.ZodRecord)._zod.def.valueType;
  return undefined;
}

function unwrapped(schema: Schema): Schema {
  let at = schema;
  while (at._zod.def.type === "optional" || at._zod.def.type === "nullable" || at._zod.def.type === "default") {
    at = (at as z.ZodOptional)._zod.def.innerType;
  }
  return at;
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "list";
  return typeof value === "object" ? "map" : typeof value;
}

function article(type: string): string {
  const name = { array: "list", object: "map", record: "map", int: "whole number" }[type] ?? type;
  return name === "null" ? "empty" : `a ${name}`;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
