import { CommandFailure } from "./failure.ts";

/** A port to listen on: this one (0: any free one), or any where it is taken and `orAny`. */
export interface WishedPort {
  readonly port: number;
  readonly orAny: boolean;
}

/**
 * Port numbers from flags: `17070`, `auto` (any free one), or `17070?` (that one if it is free, else any).
 *
 * Without Kubernetes many workloads share a machine, so the guides' numbers are wishes. Whether one is free is found out by
 * listening on it: what was free a moment ago may be another process's by then.
 */
export function parsePortList(texts: readonly string[]): WishedPort[] {
  return texts.map(parsePort);
}

function parsePort(text: string): WishedPort {
  if (text === "auto") return { port: 0, orAny: false };
  const wish = /^(\d{1,5})(\??)$/.exec(text);
  const port = Number(wish?.[1]);
  if (wish === null || port > 65535) {
    throw new CommandFailure(`"${text}" is not a port`, { hint: "use a number, 'auto', or '<number>?'", exitCode: 2 });
  }
  return { port, orAny: wish[2] === "?" };
}
