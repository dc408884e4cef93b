// A soak: mixed traffic between a client and servers of ours, each in a process of its own, while connections break,
// channels come and go and certificates are swapped. What is left afterwards, and how memory went meanwhile, is judged.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createTestAuthority, type TestAuthority } from "../../packages/grpc/src/identity/testing/certificates.ts";
import { type FlakyRelay, startFlakyRelay } from "./flaky-relay.ts";
import { memoryTrend, type Trend } from "./memory-trend.ts";
import { randomFrom } from "./prng.ts";
import { serverName } from "./soak-names.ts";
import type {
  ChildSettings,
  ClientReport,
  ClientSettings,
  FinalReport,
  Question,
  Sample,
  ServerPorts,
} from "./soak-protocol.ts";

export interface SoakOptions {
  readonly durationMs: number;
  /** Decides which calls are made and what breaks; their timing is the machine's. */
  readonly seed: number;
  /** Told of each look at the processes. */
  readonly onSample?: (text: string) => void;
}

/** What came of a soak. */
export interface SoakResult {
  readonly client: ClientReport;
  readonly server: FinalReport;
  /** How many were opened: with TLS, in plaintext. */
  readonly connections: readonly number[];
  readonly certificates: number;
  /** Connections that were still open at the relays when the client had closed all its channels. */
  readonly openConnections: number;
  readonly trends: Readonly<Record<"client heap" | "client buffers" | "server heap" | "server buffers", Trend>>;
}

const breakEveryMs = 300;
const swapEveryMs = 2000;
/** Short, so that connections end with their certificates too. */
const certificateLifeMs = 8000;
const sampleCount = 10;
const answerLimitMs = 30_000;

class Child {
  readonly #process: ChildProcess;

  constructor(name: string, settings: ChildSettings) {
    this.#process = fork(join(import.meta.dirname, name), [JSON.stringify(settings)], {
      execArgv: ["--conditions=@weft/source", "--expose-gc", "--no-warnings"],
    });
  }

  /** The child's first message. */
  async hello<Hello>(): Promise<Hello> {
    const [message] = await once(this.#process, "message", { signal: AbortSignal.timeout(answerLimitMs) });
    return message as Hello;
  }

  async ask<Answer = void>(question: Question): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const onMessage = (message: { question: Question; answer: Answer }) => {
      if (message.question === question) resolve(message.answer);
    };
    const onExit = () => reject(new Error(`a child of the soak ended before it answered ${question}`));
    const timer = setTimeout(() => reject(new Error(`no answer to ${question}`)), answerLimitMs);
    this.#process.on("message", onMessage).once("exit", onExit);
    try {
      this.#process.send(question);
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#process.off("message", onMessage).off("exit", onExit);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exit = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exit;
  }
}

/** Certificates in files, both sides' alike, issued by one authority after the other; both are trusted. */
class Certificates implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "weft-soak-"));
  readonly #authorities: readonly TestAuthority[];
  readonly files = {
    certificateFile: join(this.#folder, "leaf.pem"),
    privateKeyFile: join(this.#folder, "leaf.key"),
    caFile: join(this.#folder, "ca.pem"),
  };
  issued = 0;

  constructor(authorities: readonly TestAuthority[]) {
    this.#authorities = authorities;
    this.#write(this.files.caFile, authorities.map(({ rootPem }) => rootPem).join(""));
  }

  async issue(): Promise<void> {
    const authority = this.#authorities[this.issued++ % this.#authorities.length]!;
    const leaf = await authority.issue({ dns: [serverName], notAfter: new Date(Date.now() + certificateLifeMs) });
    this.#write(this.files.privateKeyFile, leaf.privateKeyPem);
    this.#write(this.files.certificateFile, leaf.certificateChainPem);
  }

  #write(file: string, text: string): void {
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

/** Runs one. Takes `durationMs` and a few seconds; leaves no process and no file behind. */
export async function soak({ durationMs, seed, onSample }: SoakOptions): Promise<SoakResult> {
  using certificates = new Certificates([await createTestAuthority("one"), await createTestAuthority("two")]);
  await certificates.issue();
  await using server = new Child("soak-server.ts", { seed, ...certificates.files });
  const ports = await server.hello<ServerPorts>();
  await using tlsRelay = await startFlakyRelay(ports.tlsPort);
  await using plaintextRelay = await startFlakyRelay(ports.plaintextPort);
  const relays = [tlsRelay, plaintextRelay];
  const settings: ClientSettings = {
    seed,
    ...certificates.files,
    tlsPort: tlsRelay.port,
    plaintextPort: plaintextRelay.port,
  };
  await using client = new Child("soak-client.ts", settings);
  await client.hello();
  const over = new AbortController();
  const disturbances = [
    disturb(breakEveryMs, over.signal, breaker(relays, seed)),
    disturb(swapEveryMs, over.signal, async () => {
      await certificates.issue();
      await Promise.all([server.ask("rotate"), client.ask("rotate")]);
    }),
  ];
  const samples: { readonly client: Sample; readonly server: Sample }[] = [];
  for (let taken = 0; taken < sampleCount; taken++) {
    await delay(durationMs / sampleCount);
    await client.ask("pause");
    const both = { client: await client.ask<Sample>("sample"), server: await server.ask<Sample>("sample") };
    samples.push(both);
    onSample?.(`${both.client.calls} calls; client ${text(both.client)}, server ${text(both.server)}`);
    await client.ask("resume");
  }
  over.abort();
  await Promise.all(disturbances);
  const clientReport = await client.ask<ClientReport>("finish");
  const openConnections = relays.reduce((sum, relay) => sum + relay.openConnections, 0);
  const serverReport = await server.ask<FinalReport>("finish");
  // The first samples hold what a process makes once: code, pools, caches.
  const steady = samples.slice(sampleCount * 0.3);
  const trend = (side: "client" | "server", kind: "heapBytes" | "externalBytes") =>
    memoryTrend(steady.map((both) => ({ calls: both.client.calls, bytes: both[side][kind] })));
  return {
    client: clientReport,
    server: serverReport,
    connections: relays.map((relay) => relay.connections),
    certificates: certificates.issued,
    openConnections,
    trends: {
      "client heap": trend("client", "heapBytes"),
      "client buffers": trend("client", "externalBytes"),
      "server heap": trend("server", "heapBytes"),
      "server buffers": trend("server", "externalBytes"),
    },
  };
}

async function disturb(everyMs: number, signal: AbortSignal, act: () => void | Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await delay(everyMs, undefined, { signal });
    } catch {
      // The soak is over.
      return;
    }
    await act();
  }
}

function breaker(relays: readonly FlakyRelay[], seed: number): () => void {
  const random = randomFrom(seed + 1);
  return () => relays[Math.floor(random() * relays.length)]?.breakOne(random);
}

const text = ({ heapBytes, externalBytes }: Sample) =>
  `${(heapBytes / 1e6).toFixed(2)} + ${(externalBytes / 1e6).toFixed(2)} MB`;
