// The service under test. Its codec is the identity, so that every stack pays for transport alone, and pays the same.
const bytes = (value: Buffer): Buffer => value;

const identity = {
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
} as const;

export const echoDefinition = {
  /** The realistic call: its handler is async and reads the metadata. */
  echo: { path: "/bench.Echo/Echo", requestStream: false, responseStream: false, ...identity },
  /** The same without the reading. */
  bare: { path: "/bench.Echo/Bare", requestStream: false, responseStream: false, ...identity },
  /** The request again and again, until it is cancelled. */
  repeat: { path: "/bench.Echo/Repeat", requestStream: false, responseStream: true, ...identity },
  /** Each message back. */
  chat: { path: "/bench.Echo/Chat", requestStream: true, responseStream: true, ...identity },
} as const;

export const token = `Bearer ${"a1b2c3d4".repeat(8)}`;
export const deadlineMs = 10_000;

/** A message of `length` bytes. */
export function payload(length: number): Buffer {
  return Buffer.alloc(length, "x");
}

/** A request id as tracing libraries make them: unique, 16 hex digits. In two parts: an integer is written faster than a double. */
export function requestId(sequence: number): string {
  return `7e57ab1e${(0x1000_0000 + sequence).toString(16)}`;
}
