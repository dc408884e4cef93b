// A child of the soak: workers that call the servers at random over channels that come and go. Speaks with its parent by
// messages.
import "./live-timers.ts";
import { getEventListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { Channel, type ChannelCredentials, type Client, createClient, insecure } from "@weft/grpc";
import { liveChannels } from "../../packages/grpc/src/channel/channel-registry.ts";
import { bytesService } from "../../packages/grpc/src/grpc-js/testing/bytes-service.ts";
import { FileSource } from "../../packages/grpc/src/identity/file-source.ts";
import { randomFrom } from "./prng.ts";
import { holdings, memory } from "./process-state.ts";
import { settle } from "./settle.ts";
import { serverName } from "./soak-names.ts";
import type { ClientReport, ClientSettings, Question, Sample } from "./soak-protocol.ts";
import { callAtRandom } from "./traffic.ts";

const settings = JSON.parse(process.argv[2] ?? "{}") as ClientSettings;
const warnings: string[] = [];
process.on("warning", (warning) => warnings.push(String(warning)));

const workerCount = 12;
const channelCount = 4;
const largestPauseMs = 12;
const channelLife = 0.01;

const random = randomFrom(settings.seed);
const shared = new AbortController();
const outcomes: Record<string, number> = {};
const defects: string[] = [];
let calls = 0;
let active = 0;
let isOver = false;
let gate: PromiseWithResolvers<void> | undefined;

interface Line {
  readonly channel: Channel;
  readonly client: Client<typeof bytesService>;
}

/** A channel of its own connections, for every other place with TLS. */
function openLine(place: number): Line {
  const isSecure = place % 2 === 0;
  const credentials: ChannelCredentials = isSecure
    ? { kind: "tls", tls: { identity: source, trust: source, verify: { kind: "hostname" }, serverName } }
    : insecure;
  const channel = new Channel(`127.0.0.1:${isSecure ? settings.tlsPort : settings.plaintextPort}`, {
    credentials,
    initialBackoffMs: 50,
    maxBackoffMs: 500,
  });
  return { channel, client: createClient(bytesService, channel) };
}

async function replaceLine(place: number): Promise<void> {
  const { channel } = lines[place]!;
  lines[place] = openLine(place);
  // Calls that run on it are cancelled.
  await channel.close();
}

async function work(): Promise<void> {
  while (!isOver) {
    await gate?.promise;
    if (isOver) return;
    active++;
    try {
      const place = Math.floor(random() * channelCount);
      if (random() < channelLife) await replaceLine(place);
      const { name, end } = await callAtRandom({ client: lines[place]!.client, random, signal: shared.signal });
      const key = `${name}: ${end}`;
      outcomes[key] = (outcomes[key] ?? 0) + 1;
    } catch (error) {
      if (defects.length < 20) defects.push(error instanceof Error ? error.message : String(error));
    } finally {
      active--;
      calls++;
    }
    await delay(random() * largestPauseMs);
  }
}

const sample = async (): Promise<Sample> => ({ ...(await memory()), calls, warnings });

/** No call runs any more, until `resume`. */
async function pause(): Promise<void> {
  gate ??= Promise.withResolvers();
  await settle(() => active === 0);
}

function resume(): void {
  gate?.resolve();
  gate = undefined;
}

function open(): Record<string, number> {
  return {
    calls: active,
    channels: liveChannels().length,
    listeners: getEventListeners(shared.signal, "abort").length,
  };
}

/** Ends the traffic and closes everything: nothing may be left. */
async function finish(): Promise<ClientReport> {
  isOver = true;
  resume();
  await Promise.all(workers);
  await Promise.all(lines.splice(0).map(({ channel }) => channel.close()));
  source.close();
  await settle(() => isDeepStrictEqual(holdings(), before) && Object.values(open()).every((count) => count === 0));
  return { ...(await sample()), before, after: holdings(), open: open(), outcomes, defects };
}

const answers: Readonly<Record<Question, () => unknown>> = {
  sample,
  rotate: () => source.refresh(),
  pause,
  resume,
  finish,
};
process.on("message", async (question: Question) => {
  process.send?.({ question, answer: await answers[question]() });
});
process.on("disconnect", () => process.exit(1));

const before = holdings();
const source = new FileSource({
  certificateFile: settings.certificateFile,
  privateKeyFile: settings.privateKeyFile,
  caCertificateFile: settings.caFile,
});
await source.refresh();
const lines = Array.from({ length: channelCount }, (_, place) => openLine(place));
const workers = Array.from({ length: workerCount }, work);
process.send?.("working");
