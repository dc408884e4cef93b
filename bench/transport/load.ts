import type { Recorder } from "./recorder.ts";
import type { Caller } from "./stack.ts";

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

const mostOpen = 200_000;
/** An open loop begins at a twentieth of its rate. */
const rampFrom = 0.05;

/** Warms `caller` and its server with 256 calls in flight: an open loop would find a cold pair overloaded and measure its queue. */
export async function warmUp(caller: Caller, recorder: Recorder, ms: number): Promise<void> {
  const stop = closedLoop([caller], 256, recorder);
  await new Promise((resolve) => setTimeout(resolve, ms));
  stop();
}

/**
 * Poisson arrivals at `perSecond`, however many are still open; latency counts from the intended time.
 *
 * They grow to that rate within `rampMs`, slowly at first: small batches run through code that full ones never did, and a pair that
 * compiles this at its whole load would have the queue of that time in what is measured later.
 *
 * What is due is sent at each timer and in each turn that brings replies, as Go's scheduler looks at its timers whenever it runs: spinning
 * would be more exact, and its CPU would be charged to the calls.
 */
export function openLoop(caller: Caller, perSecond: number, rampMs: number, recorder: Recorder): void {
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
  const startedAtMs = performance.now();
  let dueAtMs = startedAtMs;
  const rampAt = (ms: number): number => Math.min(1, rampFrom + ((ms - startedAtMs) / rampMs) ** 2);
  const send = (intendedAtMs: number): void => {
    if (++open > mostOpen) fail(new Error(`${open} calls are open: the stack does not keep up`));
    caller.call(() => {
      open--;
      recorder.add(intendedAtMs);
      sendOncePerTurn();
    }, fail);
  };
  const sendDue = (): void => {
    const nowMs = performance.now();
    while (dueAtMs <= nowMs) {
      send(dueAtMs);
      dueAtMs += nextGapMs() / rampAt(dueAtMs);
    }
  };
  let hasSent = false;
  const beginTurn = () => {
    hasSent = false;
  };
  /** A burst of replies that each send more would keep the sockets from being read. */
  const sendOncePerTurn = (): void => {
    if (hasSent) return;
    hasSent = true;
    setImmediate(beginTurn);
    sendDue();
  };
  setInterval(sendDue, 1);
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
