import { Status, type StatusName } from "../rpc/status.ts";

// The field types of a service config's JSON. Each reader throws a TypeError that names the field at `at`.

/** Throws: what stands at `at` is wrong. */
export function refuse(at: string, what: string): never {
  throw new TypeError(`${at} ${what}`);
}

/** The fields of an object. */
export function fieldsOf(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(at, "must be an object");
  return value as Readonly<Record<string, unknown>>;
}

/** The items of a list. */
export function itemsOf(value: unknown, at: string): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(at, "must be a list");
}

/** A whole number, which protobuf's JSON may write as text. */
export function integerOf(value: unknown, at: string, least: number): number {
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < least) {
    return refuse(at, `must be a whole number of at least ${least}`);
  }
  return number;
}

/** A number greater than 0. */
export function numberOf(value: unknown, at: string): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0
    ? value
    : refuse(at, "must be greater than 0");
}

/** A duration as protobuf's JSON writes it, `1.5s`, in milliseconds. */
export function durationMs(value: unknown, at: string): number {
  const match = typeof value === "string" ? /^(\d{1,12}(?:\.\d{1,9})?)s$/.exec(value) : null;
  return match === null ? refuse(at, 'must be a duration such as "1.5s"') : Number(match[1]) * 1000;
}

/** Statuses by number or by name, in any case. */
export function statusesOf(value: unknown, at: string): Set<number> {
  return new Set(itemsOf(value, at).map((item, index) => statusOf(item, `${at}[${index}]`)));
}

function statusOf(value: unknown, at: string): number {
  const status = typeof value === "string" ? Status[value.toUpperCase() as StatusName] : value;
  if (typeof status === "number" && Number.isInteger(status) && status >= 0 && status <= 16) return status;
  return refuse(at, `is ${JSON.stringify(value)}, not a status code`);
}
