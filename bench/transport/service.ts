// One unary method whose codec is the identity, so that every stack pays for transport alone, and pays the same.
const bytes = (value: Buffer): Buffer => value;

export const echoDefinition = {
  echo: {
    path: "/bench.Echo/Echo",
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
} as const;

export const payload = Buffer.alloc(100, "x");
export const token = `Bearer ${"a1b2c3d4".repeat(8)}`;
export const deadlineMs = 10_000;

/** A request id as tracing libraries make them: unique, 16 hex digits. */
export function requestId(sequence: number): string {
  return (0x1000_0000_0000 + sequence).toString(16).padStart(16, "0");
}
