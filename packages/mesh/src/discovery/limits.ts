/** What one peer may ask of the engine; whoever exceeds it loses the stream with RESOURCE_EXHAUSTED. */
export interface DiscoveryLimits {
  readonly maxNamesPerType: number;
  readonly maxNameLength: number;
  /** All streams of one identity (on a plaintext port: of one remote host). */
  readonly maxStreamsPerIdentity: number;
  /** Sustained requests per second on one stream, and how many may come at once. */
  readonly requestsPerSecond: number;
  readonly requestBurst: number;
  /** Where RDS and EDS responses are cut in two; most clients refuse messages over 4 MiB. */
  readonly maxResponseBytes: number;
}

export const defaultLimits: DiscoveryLimits = {
  maxNamesPerType: 10_000,
  maxNameLength: 1_024,
  maxStreamsPerIdentity: 10_000,
  requestsPerSecond: 200,
  // A client that starts with a thousand clusters sends a request for each name it adds, and an ACK for each answer.
  requestBurst: 5_000,
  maxResponseBytes: 2 * 1024 * 1024,
};

/** Why a stream is ended by us, with the status it ends with. */
export interface Refusal {
  readonly code: "INVALID_ARGUMENT" | "PERMISSION_DENIED" | "RESOURCE_EXHAUSTED" | "UNAVAILABLE" | "UNAUTHENTICATED";
  readonly message: string;
}
