import { setTimeout as after } from "node:timers/promises";
import { Recorder } from "./recorder.ts";
import type { Caller } from "./stack.ts";
import type { Window } from "./workload.ts";

/** Ends the process: a bench of errors is no bench. */
function fail(error: Error): void {
  console.error(error);
  process.exit(1);
}

/** `inFlight` calls are always open on each caller, until the process ends or the returned function is called. */
export function closedLoop(callers: readonly Caller[], inFlight: number, recorder: Recorder): () => void {
  const loop = { over: false };
  for (const caller of callers) for (let i = 0; i < inFlight; i++) keepCalling(caller, recorder, loop);
  return () => {
    loop.over = true;
  };
}

function keepCalling(caller: Caller, recorder: Recorder, loop: { readonly over: boolean }): void {
  let sentAtMs = 0;
  const onReply = (): void => {
    recorder.add(sentAtMs);
    if (!loop.over) issue();
  };
  const issue = (): void => {
    sentAtMs = performance.now();
    caller.call(onReply, fail);
  };
  issue();
}

const saturatingCalls = 256;
const mostOpen = 200_000;
/** As an event loop brings what arrives: so many events, then the next look at all sockets. */
const mostPerTurn = 256;

/** What `caller` does with 256 calls in flight for `ms`, a second. */
async function saturate(caller: Caller, ms: number): Promise<number> {
  const recorder = new Recorder(false);
  const startedAtMs = performance.now();
  const stop = closedLoop([caller], saturatingCalls, recorder);
  await after(ms);
  stop();
  return recorder.calls / ((performance.now() - startedAtMs) / 1000);
}

/**
 * Poisson arrivals at `perSecond`, however many are still open, until the returned function is called; latency counts from the
 * intended time.
 *
 * What is due is sent at each timer and in each turn that brings replies, as Go's scheduler looks at its timers whenever it runs: spinning
 * would be more exact, and its CPU would be charged to the calls.
 */
function openLoop(caller: Caller, perSecond: number, recorder: Recorder): () => void {
  const meanGapMs = 1000 / perSecond;
  let state = 0x9e3779b9;
  /** Exponential: the same sequence in each run (xorshift). */
  const nextGapMs = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return -Math.log(((state >>> 0) + 1) / 4_294_967_297) * meanGapMs;
  };
  let open = 0;
  let isOver = false;
  let dueAtMs = performance.now();
  const send = (intendedAtMs: number): void => {
    if (++open > mostOpen) fail(new Error(`${open} calls are open: the stack does not keep up`));
    caller.call(() => {
      open--;
      recorder.add(intendedAtMs);
      sendDue();
    }, fail);
  };
  let hasSent = false;
  let isLate = false;
  /** A burst of replies that each send more would keep the sockets from being read. */
  const sendDue = (): void => {
    if (hasSent || isOver) return;
    hasSent = true;
    setImmediate(beginTurn);
    const nowMs = performance.now();
    let left = mostPerTurn;
    for (; left > 0 && dueAtMs <= nowMs; left--) {
      send(dueAtMs);
      dueAtMs += nextGapMs();
    }
    isLate = left === 0;
  };
  const beginTurn = () => {
    hasSent = false;
    if (isLate) sendDue();
  };
  const timer = setInterval(sendDue, 1);
  return () => {
    isOver = true;
    clearInterval(timer);
  };
}

/**
 * An open loop at half of what the stack does with 256 calls in flight, found in the seconds before: both change with the machine.
 *
 * The pair is warmed in both ways first. Small batches run through code that full ones never did; compiled at half of all that
 * the pair can do, it would make a queue that is in what is measured later.
 */
export async function halfSaturatingLoop(caller: Caller, { warmupMs, durationMs }: Window, recorder: Recorder) {
  const cold = await saturate(caller, warmupMs);
  const stop = openLoop(caller, cold / 8, recorder);
  await after(warmupMs);
  stop();
  openLoop(caller, (await saturate(caller, durationMs)) / 2, recorder);
}

/** Connects all, makes `callsEach` calls on each one after the other, and resolves when the last is answered. */
export async function callEach(callers: readonly Caller[], callsEach: number): Promise<void> {
  for (const caller of callers) {
    for (let i = 0; i < callsEach; i++) await new Promise<void>((resolve) => caller.call(resolve, fail));
  }
}

/** One stream, its messages counted. */
export function oneStream(caller: Caller, kind: "stream" | "bidi", recorder: Recorder): () => void {
  const onMessage = () => recorder.addMessage();
  return kind === "stream" ? caller.stream(onMessage, fail) : caller.pingPong(onMessage, fail);
}
