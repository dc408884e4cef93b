import type { Figures, Run, StackName, Workload } from "./workload.ts";

/** One row of the report before it is measured: a figure of our run against that of each peer's. */
export interface RowPlan {
  readonly id: string;
  readonly what: string;
  readonly figure: keyof Figures;
  readonly unit: string;
  readonly ours: Run;
  readonly peers: readonly { readonly name: StackName; readonly run: Run; readonly bar: string }[];
  /** Fits into `--quick`. */
  readonly quick?: boolean;
}

const realistic = "100 B unary, 10 s deadline, token and request id, async handler that reads them";

const closed = (inFlight: number, others: { connections?: number; bytes?: number; bare?: boolean } = {}): Workload => ({
  kind: "closed",
  connections: 1,
  inFlight,
  bytes: 100,
  bare: false,
  ...others,
});

/** A stack's own client against its own server. */
const pair = (stack: StackName, workload: Workload, tls = false): Run => ({
  client: stack,
  server: stack,
  tls,
  workload,
});

/** Ours against the same workload of each peer that `bars` names. */
function against(
  stack: StackName,
  workload: Workload,
  bars: Partial<Record<StackName, string>>,
  tls = false,
): Pick<RowPlan, "ours" | "peers"> {
  const named = Object.entries(bars) as [StackName, string][];
  return {
    ours: pair(stack, workload, tls),
    peers: named.map(([name, bar]) => ({ name, run: pair(name, workload, tls), bar })),
  };
}

const throughput = { figure: "perSecond", unit: "requests/s" } as const;
const promise = `promise client and server, ${realistic}`;
const stubs = `unchanged grpc-js stubs and handlers, ${realistic}`;
const perCall = "µs per call";
const open: Workload = { kind: "open" };
const idle: Workload = { kind: "idle", connections: 1000, callsEach: 20 };
const loaded = closed(32);

/** Every row of the transport bench; rows that share runs stand together, so that what is compared ran close in time. */
export const rowPlans: readonly RowPlan[] = [
  {
    id: "promise-32",
    what: `${promise}, 32 in flight`,
    ...throughput,
    ...against("weft", loaded, { "grpc-js": ">= 20", "grpc-go": ">= 2.5" }),
    quick: true,
  },
  {
    id: "promise-32-p99",
    what: `${promise}, 32 in flight, p99`,
    figure: "p99Us",
    unit: "µs",
    ...against("weft", loaded, { "grpc-js": "<= 0.1", "grpc-go": "<= 0.6" }),
    quick: true,
  },
  {
    id: "client-cpu-js",
    what: `promise client against grpc-js's server, CPU of the client, 32 in flight, ${realistic}`,
    figure: "clientCpuUs",
    unit: perCall,
    ours: { client: "weft", server: "grpc-js", tls: false, workload: loaded },
    peers: [{ name: "grpc-js", run: pair("grpc-js", loaded), bar: "<= 0.08" }],
  },
  {
    id: "server-cpu-js",
    what: `grpc-js's client against the promise server, CPU of the server, 32 in flight, ${realistic}`,
    figure: "serverCpuUs",
    unit: perCall,
    ours: { client: "grpc-js", server: "weft", tls: false, workload: loaded },
    peers: [{ name: "grpc-js", run: pair("grpc-js", loaded), bar: "<= 0.2" }],
  },
  {
    id: "client-cpu-go",
    what: `promise client against grpc-go's server, CPU of the client, 32 in flight, ${realistic}`,
    figure: "clientCpuUs",
    unit: perCall,
    ours: { client: "weft", server: "grpc-go", tls: false, workload: loaded },
    peers: [{ name: "grpc-go", run: pair("grpc-go", loaded), bar: "<= 0.5" }],
  },
  {
    id: "server-cpu-go",
    what: `grpc-go's client against the promise server, CPU of the server, 32 in flight, ${realistic}`,
    figure: "serverCpuUs",
    unit: perCall,
    ours: { client: "grpc-go", server: "weft", tls: false, workload: loaded },
    peers: [{ name: "grpc-go", run: pair("grpc-go", loaded), bar: "<= 0.5" }],
  },
  {
    id: "promise-256",
    what: `${promise}, 256 in flight`,
    ...throughput,
    ...against("weft", closed(256), { "grpc-js": ">= 45", "grpc-go": ">= 5" }),
    quick: true,
  },
  {
    id: "open-p99",
    what: `${promise}, Poisson arrivals at half of the stack's own requests/s at 256 in flight, p99 from the intended time`,
    figure: "p99Us",
    unit: "µs",
    ...against("weft", open, { "grpc-go": "<= 0.5" }),
  },
  {
    id: "open-cpu",
    what: `${promise}, Poisson arrivals as in open-p99, CPU of client and server together`,
    figure: "bothCpuUs",
    unit: perCall,
    ...against("weft", open, { "grpc-go": "<= 0.4" }),
  },
  {
    id: "promise-1-p50",
    what: `${promise}, 1 in flight, p50`,
    figure: "p50Us",
    unit: "µs",
    ...against("weft", closed(1), { "grpc-js": "<= 0.4", "grpc-go": "<= 0.75" }),
    quick: true,
  },
  {
    id: "stub-1-p50",
    what: `${stubs}, 1 in flight, p50`,
    figure: "p50Us",
    unit: "µs",
    ...against("weft-stubs", closed(1), { "grpc-js": "<= 0.5", "grpc-go": "<= 1" }),
    quick: true,
  },
  {
    id: "stub-64",
    what: `${stubs}, 64 in flight`,
    ...throughput,
    ...against("weft-stubs", closed(64), { "grpc-js": ">= 10", "grpc-go": ">= 1.2" }),
    quick: true,
  },
  {
    id: "bare-32",
    what: "promise client and server, 100 B unary, no metadata, no deadline, 32 in flight, against length-prefixed messages",
    ...throughput,
    ...against("weft", closed(32, { bare: true }), { raw: ">= 0.6" }),
    quick: true,
  },
  {
    id: "promise-32-mtls",
    what: `${promise}, mTLS (TLS 1.3, P-256), 32 in flight`,
    ...throughput,
    ...against("weft", loaded, { "grpc-js": ">= 15", "grpc-go": ">= 2.2" }, true),
    quick: true,
  },
  {
    id: "promise-256-mtls",
    what: `${promise}, mTLS (TLS 1.3, P-256), 256 in flight`,
    ...throughput,
    ...against("weft", closed(256), { "grpc-js": ">= 35", "grpc-go": ">= 6" }, true),
  },
  {
    id: "stub-64-mtls",
    what: `${stubs}, mTLS (TLS 1.3, P-256), 64 in flight`,
    ...throughput,
    ...against("weft-stubs", closed(64), { "grpc-js": ">= 8", "grpc-go": ">= 1" }, true),
  },
  {
    id: "stream",
    what: "promise client and server, one server-streaming call, 100 B messages",
    figure: "perSecond",
    unit: "messages/s",
    ...against("weft", { kind: "stream" }, { "grpc-js": ">= 15" }),
  },
  {
    id: "bidi",
    what: "promise client and server, one bidirectional call, 100 B messages, one in flight",
    figure: "perSecond",
    unit: "messages/s",
    ...against("weft", { kind: "bidi" }, { "grpc-js": ">= 2.5" }),
  },
  {
    id: "big",
    what: `promise client and server, ${realistic.replace("100 B", "1 MiB")}, 4 in flight, one direction`,
    figure: "megabytesPerSecond",
    unit: "MB/s",
    ...against("weft", closed(4, { bytes: 1_048_576 }), { "grpc-js": ">= 4", "grpc-go": ">= 0.8" }),
  },
  {
    id: "many",
    what: `${promise}, 200 connections with 2 in flight each`,
    ...throughput,
    ...against("weft", closed(2, { connections: 200 }), { "grpc-js": ">= 3", "grpc-go": ">= 0.8" }),
  },
  {
    id: "idle",
    what: "promise client and server, 1,000 idle connections after 20 calls each: growth of the server's resident memory",
    figure: "bytesPerConnection",
    unit: "B per connection",
    ...against("weft", idle, { "grpc-js": "<= 1.1" }),
  },
  {
    id: "idle-tls",
    what: "the same with mTLS (TLS 1.3, P-256)",
    figure: "bytesPerConnection",
    unit: "B per connection",
    ...against("weft", idle, { "grpc-js": "<= 0.95" }, true),
  },
  {
    id: "import",
    what: "@weft/grpc in a fresh process, from import to the first reply",
    figure: "importMs",
    unit: "ms",
    ...against("weft", { kind: "import" }, { "grpc-js": "<= 0.5" }),
    quick: true,
  },
  {
    id: "import-grpc-js",
    what: "@weft/grpc/grpc-js in a fresh process, from import to the first reply",
    figure: "importMs",
    unit: "ms",
    ...against("weft-stubs", { kind: "import" }, { "grpc-js": "<= 1.1" }),
    quick: true,
  },
  {
    id: "rss",
    what: `${promise}, resident memory of client and server after 60 s at 64 in flight`,
    figure: "rssBytes",
    unit: "B",
    ...against("weft", { kind: "soak", inFlight: 64 }, { "grpc-js": "<= 1" }),
  },
];
