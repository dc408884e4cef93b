import type { Holdings, Memory } from "./process-state.ts";

/** What the children of a soak are started with. */
export interface ChildSettings {
  readonly seed: number;
  readonly certificateFile: string;
  readonly privateKeyFile: string;
  readonly caFile: string;
}

/** The client's, besides: where the servers are dialled. */
export interface ClientSettings extends ChildSettings {
  readonly tlsPort: number;
  readonly plaintextPort: number;
}

/** What a child is asked; it answers each with one message. */
export type Question = "sample" | "rotate" | "pause" | "resume" | "finish";

/** The server's first message. */
export interface ServerPorts {
  readonly tlsPort: number;
  readonly plaintextPort: number;
}

export interface Sample extends Memory {
  /** Calls that ended. */
  readonly calls: number;
  /** Warnings of Node's: a leak of listeners is one. */
  readonly warnings: readonly string[];
}

/** What a child holds before the traffic and after it. */
export interface FinalReport extends Sample {
  readonly before: Holdings;
  readonly after: Holdings;
  /** Calls and connections that are still open; handlers that have not run to their end. */
  readonly open: Readonly<Record<string, number>>;
}

/** The client's. */
export interface ClientReport extends FinalReport {
  /** How often each kind of call ended how. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** What must not happen, whatever breaks: wrong messages, statuses that nothing explains. */
  readonly defects: readonly string[];
}
