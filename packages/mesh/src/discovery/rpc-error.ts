import type { Refusal } from "./limits.ts";

/** A stream that we end: what is thrown carries the gRPC status by name. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: Refusal["code"];
  readonly details: string;

  constructor(code: Refusal["code"], details: string) {
    super(`${code}: ${details}`);
    this.code = code;
    this.details = details;
  }
}
