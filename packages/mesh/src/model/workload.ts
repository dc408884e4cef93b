/** STARTING: bound, its listener resource can be computed, nobody is sent there. SERVING: an endpoint. */
export type ListenerState = "STARTING" | "SERVING" | "NOT_SERVING";

/** LIVE: its session is open. SUSPECT: the session broke, still an endpoint for the grace period. DRAINING: leaves every endpoint list. */
export type WorkloadState = "LIVE" | "SUSPECT" | "DRAINING";

/** One port that a workload listens on. */
export interface WorkloadListener {
  /** The name a Service port is matched by, e.g. `grpc`. */
  readonly portName: string;
  readonly port: number;
  /** Exactly as bound, e.g. `0.0.0.0:17070` or `[::]:17070`. */
  readonly boundAddress: string;
  readonly state: ListenerState;
  /** Full names of the interfaces served here, e.g. `greet.v1.Greeter`. */
  readonly interfaces: readonly string[];
}

/** A live registration: where a process is, who it is, and what it serves. */
export interface Workload {
  readonly uid: string;
  /** The node id of the process's ADS streams, by which its server listeners find this registration. */
  readonly nodeId: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly spiffeId: string;
  readonly labels: Readonly<Record<string, string>>;
  /** An IP literal that clients reach the process at. */
  readonly address: string;
  /** The name a person knows the process by. */
  readonly displayName: string;
  /** New for every start of the process. */
  readonly incarnation: string;
  readonly state: WorkloadState;
  readonly listeners: readonly WorkloadListener[];
}

/** Whether every label of `selector` stands in `labels` with the same value. An empty selector selects everything. */
export function selectorMatches(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  for (const key in selector) {
    if (!Object.hasOwn(labels, key) || labels[key] !== selector[key]) return false;
  }
  return true;
}
