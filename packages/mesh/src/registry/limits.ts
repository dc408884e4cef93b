/** What one peer may ask the registry to hold, and how long the registry waits. */
export interface RegistryLimits {
  readonly registrations: number;
  readonly registrationsPerIdentity: number;
  readonly listeners: number;
  readonly interfaces: number;
  readonly interfacesPerNamespace: number;
  readonly labels: number;
  /** Messages a session may send at once, and how many more each second gives back. */
  readonly messageBurst: number;
  readonly messagesPerSecond: number;
  /** From the session's start to its Hello. */
  readonly helloMs: number;
  /** How long an instance stays after its session broke. */
  readonly graceMs: number;
  /** How long nothing is withdrawn after the control plane started. */
  readonly returnMs: number;
  /** How long a draining instance waits at most for clients to let go of it. */
  readonly drainMs: number;
}

/** Room for any honest use, and none for filling memory or disk. */
export const defaultLimits: RegistryLimits = {
  registrations: 20_000,
  registrationsPerIdentity: 2_000,
  listeners: 64,
  interfaces: 1_024,
  interfacesPerNamespace: 10_000,
  labels: 64,
  messageBurst: 64,
  messagesPerSecond: 10,
  helloMs: 10_000,
  graceMs: 15_000,
  returnMs: 30_000,
  drainMs: 10_000,
};
