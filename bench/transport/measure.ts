import { median } from "../report.ts";
import { BenchProcess, clientCore, commandFor, serverCore } from "./processes.ts";
import type { ClientOrder, Figures, Run, Window } from "./workload.ts";

/** What all runs of a bench share. */
export interface Setting {
  /** The folder of `writeCertificates`. */
  readonly certificates: string;
  readonly goProgram: string | undefined;
}

/** Runs a fresh server on one core and a fresh client on the other, and returns what both found. */
export async function measure(run: Run, setting: Setting, window: Window): Promise<Figures> {
  const { goProgram } = setting;
  const certificates = run.tls ? setting.certificates : "";
  await using server = new BenchProcess(
    serverCore,
    `${run.server} server`,
    commandFor("server", run.server, goProgram, certificates),
  );
  const port = Number(await server.line());
  const order: ClientOrder = { port, certificates, workload: run.workload, ...window };
  const script = run.workload.kind === "import" ? "import" : "client";
  const startClient = () =>
    new BenchProcess(
      clientCore,
      `${run.client} client`,
      commandFor(script, run.client, goProgram, JSON.stringify(order)),
    );
  if (run.workload.kind === "import") return await measureImport(startClient);
  if (run.workload.kind === "idle") return await measureIdle(server, startClient, run.workload.connections);
  return await measureLoad(server, startClient);
}

async function measureLoad(server: BenchProcess, startClient: () => BenchProcess): Promise<Figures> {
  await using client = startClient();
  await expectLine(client, "rehearsal");
  await server.ask("usage");
  await expectLine(client, "begin");
  const before = await server.ask("usage");
  await expectLine(client, "end");
  const after = await server.ask("usage");
  const found = JSON.parse(await client.line()) as Figures & { readonly calls: number };
  const serverCpuUs = (after.cpuUs - before.cpuUs) / found.calls;
  return {
    ...found,
    serverCpuUs,
    bothCpuUs: (found.clientCpuUs ?? Number.NaN) + serverCpuUs,
    ...(found.rssBytes === undefined ? {} : { rssBytes: found.rssBytes + after.rssBytes }),
  };
}

async function measureIdle(server: BenchProcess, startClient: () => BenchProcess, connections: number) {
  const before = await server.ask("collect");
  await using client = startClient();
  await expectLine(client, "ready");
  const after = await server.ask("collect");
  return { bytesPerConnection: (after.rssBytes - before.rssBytes) / connections };
}

const importProcesses = 5;

/** The median of some processes, after a first one that brings the files into the system's cache and warms the server. */
async function measureImport(startClient: () => BenchProcess): Promise<Figures> {
  const found: number[] = [];
  for (let process = 0; process <= importProcesses; process++) {
    await using client = startClient();
    const { importMs } = JSON.parse(await client.line()) as { readonly importMs: number };
    if (process > 0) found.push(importMs);
  }
  return { importMs: median(found) };
}

async function expectLine(client: BenchProcess, expected: string): Promise<void> {
  const line = await client.line();
  if (line !== expected) throw new Error(`the client said ${line} instead of ${expected}`);
}
