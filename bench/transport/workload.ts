/** The stacks that can stand on either side; `weft-stubs`: unchanged grpc-js stubs and handlers through `@weft/grpc/grpc-js`. */
export type StackName = "weft" | "weft-stubs" | "grpc-js" | "grpc-go" | "raw";

/** What a client process does; also what the Go program reads, as JSON. */
export type Workload =
  /** `inFlight` unary calls of `bytes` are always open on each connection; `bare`: without metadata, deadline and their reading. */
  | {
      readonly kind: "closed";
      readonly connections: number;
      readonly inFlight: number;
      readonly bytes: number;
      readonly bare: boolean;
    }
  /** Poisson arrivals at half of what the stack does with 256 in flight, whatever is still open. */
  | { readonly kind: "open" }
  | { readonly kind: "stream" }
  | { readonly kind: "bidi" }
  /** Connections that made some calls and then stay open. */
  | { readonly kind: "idle"; readonly connections: number; readonly callsEach: number }
  /** A fresh process, from its first import to its first reply. */
  | { readonly kind: "import" }
  /** A closed loop whose end finds both processes' resident memory. */
  | { readonly kind: "soak"; readonly inFlight: number };

/** One client against one server. */
export interface Run {
  readonly client: StackName;
  readonly server: StackName;
  /** mTLS: TLS 1.3, P-256, both sides verified. */
  readonly tls: boolean;
  readonly workload: Workload;
}

/** How long a run is watched, after how long. */
export interface Window {
  readonly warmupMs: number;
  readonly durationMs: number;
}

/** What a client process is told on its command line. */
export interface ClientOrder extends Window {
  readonly port: number;
  /** The folder of `writeCertificates`, or empty for plaintext. */
  readonly certificates: string;
  readonly workload: Workload;
}

/** What a run found; a row takes one of them. */
export interface Figures {
  /** Calls, or messages where the run is a stream. */
  readonly perSecond?: number;
  /** Of one direction. */
  readonly megabytesPerSecond?: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
  /** User and system, of each process, per call. */
  readonly clientCpuUs?: number;
  readonly serverCpuUs?: number;
  readonly bothCpuUs?: number;
  readonly rssBytes?: number;
  readonly bytesPerConnection?: number;
  readonly importMs?: number;
}

/** A run's name: equal for equal runs. */
export function runKey(run: Run): string {
  return JSON.stringify([run.client, run.server, run.tls, run.workload]);
}
