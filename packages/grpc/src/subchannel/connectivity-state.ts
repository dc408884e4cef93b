/** gRPC's connectivity states (doc/connectivity-semantics-and-api). */
export type ConnectivityState = "IDLE" | "CONNECTING" | "READY" | "TRANSIENT_FAILURE" | "SHUTDOWN";
