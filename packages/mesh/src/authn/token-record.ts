import { z } from "zod";

const recordSchema = z.strictObject({
  namespace: z.string(),
  serviceAccount: z.string(),
  // What is missing allows nothing.
  labels: z.record(z.string(), z.string()).default({}),
  anyLabel: z.boolean().default(false),
  addresses: z.array(z.string()).default([]),
  createdMs: z.number(),
  expiresMs: z.number(),
  usesLeft: z.int().min(0).optional(),
  /** SHA-256 of the public keys that joined, while uses are counted: the same process asking again is the same use. */
  joined: z.array(z.string()).optional(),
});

/** What a join token allows, as it is stored beside its hash. */
export type TokenRecord = z.infer<typeof recordSchema>;

export function parseTokenRecord(text: string): TokenRecord {
  return recordSchema.parse(JSON.parse(text));
}

export function formatTokenRecord(record: TokenRecord): string {
  return JSON.stringify(record);
}

/** Why a token is of no use now, or undefined where it is good. */
export function tokenProblem(record: TokenRecord, nowMs: number): string | undefined {
  if (nowMs >= record.expiresMs) return `the join token expired at ${new Date(record.expiresMs).toISOString()}`;
  return undefined;
}

/**
 * The record after the process with this public key joined, or why it may not.
 *
 * A use is a process's first certificate. Asking again with the same key (an answer was lost) is not another use, and
 * renewals come with the current certificate, not with the token.
 */
export function useToken(record: TokenRecord, publicKeyHash: string): TokenRecord | { readonly problem: string } {
  if (record.usesLeft === undefined) return record;
  const joined = record.joined ?? [];
  if (joined.includes(publicKeyHash)) return record;
  if (record.usesLeft === 0) return { problem: "the join token has no uses left" };
  return { ...record, usesLeft: record.usesLeft - 1, joined: [...joined, publicKeyHash] };
}
