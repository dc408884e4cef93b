import { createServer } from "node:net";
import { CommandFailure } from "./failure.ts";

/**
 * Port numbers from flags: `17070`, `auto` (0: any free one), or `17070?` (that one if it is free, else any).
 *
 * Without Kubernetes many workloads share a machine, so the guides' numbers are wishes.
 */
export async function parsePortList(texts: readonly string[], host: string): Promise<number[]> {
  const ports: number[] = [];
  for (const text of texts) ports.push(await parsePort(text, host));
  return ports;
}

async function parsePort(text: string, host: string): Promise<number> {
  if (text === "auto") return 0;
  const wish = /^(\d{1,5})(\??)$/.exec(text);
  const port = Number(wish?.[1]);
  if (wish === null || port > 65535) {
    throw new CommandFailure(`"${text}" is not a port`, { hint: "use a number, 'auto', or '<number>?'", exitCode: 2 });
  }
  return wish[2] === "?" && !(await isFree(port, host)) ? 0 : port;
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}
