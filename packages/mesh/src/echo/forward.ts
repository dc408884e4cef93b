import { Channel, type ChannelOptions, createClient, insecure, RpcError, xdsChannelCredentials } from "@weft/grpc";
import { EchoTestServiceDefinition, type ForwardEchoResponse } from "@weft/xds-api/echo/echo";
import type { ForwardRequest } from "./forward-request.ts";

const maxConcurrency = 20;
const longestConnectingMs = 1000;

/**
 * Makes the calls of one ForwardEcho and returns one output element a call, in the format of Istio's echo server:
 * `[0] Latency=…`, `[0 body] Hostname=…`.
 *
 * One channel serves the whole batch unless the request wants a new one per call. Where a call fails, the whole batch
 * fails with UNKNOWN and the first error, after all calls have ended.
 */
export async function forwardEcho(request: ForwardRequest, signal: AbortSignal): Promise<ForwardEchoResponse> {
  const output: string[] = [];
  const errors: string[] = [];
  const startedAt = performance.now();
  const deadline = new Date(Date.now() + request.timeoutMs);
  await using shared = new Connection(request);
  let next = 0;
  let active = 0;

  const callNext = async (): Promise<void> => {
    const index = next++;
    if (request.qps > 0) await untilMs(startedAt + (index * 1000) / request.qps, signal);
    active++;
    try {
      output[index] = await callOnce(request, index, active, shared, { deadline, signal });
    } catch (error) {
      errors.push(goErrorText(error));
    } finally {
      active--;
    }
  };
  const worker = async (): Promise<void> => {
    while (next < request.count && !signal.aborted) await callNext();
  };
  // Calls that wait for the first of several connections would all run on it, and a small batch reach one endpoint.
  await callNext();
  if (next < request.count) await connectionsMade(shared.channel, signal);
  await Promise.all(Array.from({ length: Math.min(maxConcurrency, request.count) }, worker));

  if (errors.length > 0) {
    throw new RpcError("UNKNOWN", `${errors.length}/${request.count} requests had errors; first error: ${errors[0]}`);
  }
  return { output };
}

/** One channel and its client. */
class Connection {
  readonly channel: Channel;
  readonly client;

  constructor(request: ForwardRequest) {
    const options: ChannelOptions = {
      credentials: request.usesXds ? xdsChannelCredentials(insecure) : insecure,
      ...(request.authority === undefined ? {} : { authority: request.authority }),
    };
    this.channel = new Channel(request.target, options);
    this.client = createClient(EchoTestServiceDefinition, this.channel);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.channel.close();
  }
}

async function callOnce(
  request: ForwardRequest,
  index: number,
  active: number,
  shared: Connection,
  limits: { readonly deadline: Date; readonly signal: AbortSignal },
): Promise<string> {
  await using own = request.newConnectionPerRequest ? new Connection(request) : undefined;
  const startedAt = performance.now();
  const responseHeaders: string[] = [];
  const reply = await (own ?? shared).client.echo(
    { message: request.message },
    {
      ...limits,
      metadata: request.metadata,
      onHeaders: (headers) => {
        for (const [name, value] of headers.entries()) responseHeaders.push(`${name}:${String(value)}`);
      },
    },
  );
  const latencyMs = (performance.now() - startedAt).toFixed(3);
  const lines = [`[${index}] Latency=${latencyMs}ms`, `[${index}] ActiveRequests=${active}`];
  for (const line of reply.message.split("\n")) if (line !== "") lines.push(`[${index} body] ${line}`);
  for (const header of responseHeaders) lines.push(`[${index}] ResponseHeader=${header}`);
  return `${lines.join("\n")}\n`;
}

/** The error as grpc-go prints it, which is what the guides show. */
function goErrorText(error: unknown): string {
  if (!(error instanceof RpcError)) return String(error);
  const name = error.code
    .toLowerCase()
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
  return `rpc error: code = ${name} desc = ${error.details}`;
}

/** Resolves when `channel` makes no connection at the moment, at the latest after a second. */
function connectionsMade(channel: Channel, signal: AbortSignal): Promise<void> {
  const connecting = channel.subchannels.filter(({ state }) => state === "CONNECTING");
  if (connecting.length === 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const watcher = {
      onSubchannelState: () => {
        if (connecting.every(({ state }) => state !== "CONNECTING")) stop();
      },
    };
    const stop = () => {
      for (const subchannel of connecting) subchannel.unwatch(watcher);
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      resolve();
    };
    const timer = setTimeout(stop, longestConnectingMs);
    signal.addEventListener("abort", stop, { once: true });
    for (const subchannel of connecting) subchannel.watch(watcher);
  });
}

function untilMs(at: number, signal: AbortSignal): Promise<void> {
  const delayMs = at - performance.now();
  if (delayMs <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, delayMs);
    signal.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
  });
}
