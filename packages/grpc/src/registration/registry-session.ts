// Where this process is and what it serves, told to the control plane for as long as it runs.
//
//   add() ─► STARTING ─ accepted ─► serve() ─► SERVING ─ published ─► … ─► remove(): out of the list, or Drain with the last
//
// Every message is the whole list, so that a broken stream is mended by opening another and saying it again.
// A little over 300 lines: the list, who waits for its answers and the stream that carries it are one state.
import { message } from "@weft/xds-api";
import { type Down, Exports, Hello, Listener, Listener_State } from "@weft/xds-api/weft/registry/v1/registry";
import { type Clock, systemClock } from "../clock.ts";
import type { RegistrationAccess } from "../control-plane/control-plane.ts";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import { SessionStream } from "./session-stream.ts";

/** What is told of one bound address. */
export interface ListenerExport {
  readonly portName: string;
  readonly port: number;
  /** An IP address and the port: `0.0.0.0:17070`, `[::]:17070`. */
  readonly boundAddress: string;
  readonly interfaces: readonly string[];
}

/** One bound address in the session. */
export interface RegisteredListener {
  /**
   * Resolves once the control plane accepted it. Rejects with FAILED_PRECONDITION (or what ended the session) where it is
   * refused for good; where another live instance has its port (WEFT0203), it waits until that one is gone.
   */
  readonly accepted: Promise<void>;
  /** Says that it takes calls, or doesn't. */
  setServing(isServing: boolean): void;
  /** Resolves once clients get what was last said. */
  published(): Promise<void>;
  /** Takes it out, and resolves when clients know as well as can be told: at the latest after `limitMs`. */
  remove(limitMs: number): Promise<void>;
}

/** Something about the registration that an operator should know. */
export interface RegistrationProblem {
  /** The diagnostic code, where the registry gave one. */
  readonly code: string | undefined;
  readonly message: string;
}

export interface RegistrySessionOptions {
  /** Metadata that each call needs. */
  readonly callMetadata?: () => Metadata;
  readonly onProblem?: (problem: RegistrationProblem) => void;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

interface Entry {
  readonly listener: ListenerExport;
  state: Listener_State;
  /** The last answer left it out, for as long as another instance has its port. */
  isHeldBack: boolean;
}

/** Somebody who waits for the registry to say something of `seq` or a later one. */
interface Waiter {
  readonly seq: bigint;
  readonly until: "accepted" | "published";
  readonly entry: Entry;
  resolve(): void;
  reject(error: RpcError): void;
}

const firstBackoffMs = 1_000;
const longestBackoffMs = 30_000;
/** The diagnostic of a port that another live instance has: the registry looks again, by itself, once it is free. */
const portTaken = "WEFT0203";
/** Ends of a session that another attempt won't change. */
const finalCodes: ReadonlySet<string> = new Set(["PERMISSION_DENIED", "UNAUTHENTICATED", "INVALID_ARGUMENT"]);

export class RegistrySession {
  readonly #access: RegistrationAccess;
  readonly #options: RegistrySessionOptions;
  readonly #clock: Clock;
  readonly #entries = new Set<Entry>();
  readonly #waiters = new Set<Waiter>();
  #seq = 0n;
  #stream: SessionStream | undefined;
  /** Aborts the wait for the right to open a session. */
  #opening: AbortController | undefined;
  #cancelReconnect: (() => void) | undefined;
  #failures = 0;
  /** Entries that the answer which is just coming in leaves out. */
  readonly #refusedNow = new Set<Entry>();
  #isFlushing = false;
  #isDraining = false;
  #safeToStop: (() => void) | undefined;
  #lastProblem = "";

  constructor(access: RegistrationAccess, options: RegistrySessionOptions = {}) {
    this.#access = access;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Registers a bound address as STARTING: its listener can be computed, nobody is sent there yet. */
  add(listener: ListenerExport): RegisteredListener {
    const entry: Entry = { listener, state: Listener_State.STARTING, isHeldBack: false };
    this.#entries.add(entry);
    this.#say();
    const accepted = this.#told(entry, "accepted");
    return {
      accepted,
      setServing: (isServing) => {
        const state = isServing ? Listener_State.SERVING : Listener_State.NOT_SERVING;
        if (entry.state === state || !this.#entries.has(entry)) return;
        entry.state = state;
        this.#say();
      },
      published: () => this.#told(entry, "published"),
      remove: (limitMs) => this.#remove(entry, limitMs),
    };
  }

  /** Ends the session without saying goodbye. */
  close(): void {
    this.#rest();
    for (const waiter of [...this.#waiters]) waiter.reject(new RpcError("CANCELLED", "the registration was closed"));
    this.#waiters.clear();
  }

  #told(entry: Entry, until: Waiter["until"]): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      this.#waiters.add({ seq: this.#seq, until, entry, resolve, reject });
    });
    // Whoever doesn't wait for the answer hears of a refusal as a problem.
    promise.catch(() => undefined);
    return promise;
  }

  async #remove(entry: Entry, limitMs: number): Promise<void> {
    if (!this.#entries.delete(entry)) return;
    for (const waiter of [...this.#waiters]) {
      if (waiter.entry !== entry) continue;
      this.#waiters.delete(waiter);
      waiter.reject(new RpcError("CANCELLED", `${entry.listener.boundAddress} is no longer registered`));
    }
    const isLast = this.#entries.size === 0;
    let cancel: (() => void) | undefined;
    const limit = new Promise<void>((resolve) => {
      cancel = this.#clock.schedule(limitMs, resolve);
    });
    // Without a session nobody can be told: the registry will notice by itself.
    if (this.#stream !== undefined) {
      if (isLast) await Promise.race([limit, this.#drain()]);
      else {
        this.#say();
        await Promise.race([limit, this.#told(entry, "published").catch(() => undefined)]);
      }
    }
    cancel?.();
    // Another server may have registered meanwhile.
    if (this.#entries.size === 0) this.#rest();
  }

  #drain(): Promise<void> {
    this.#isDraining = true;
    return new Promise((resolve) => {
      this.#safeToStop = resolve;
      this.#stream?.send({ $case: "drain", value: {} });
    });
  }

  #rest(): void {
    this.#opening?.abort();
    this.#opening = undefined;
    this.#cancelReconnect?.();
    this.#cancelReconnect = undefined;
    this.#stream?.close();
    this.#stream = undefined;
    this.#isDraining = false;
  }

  /** The list changed: tell it at the end of this turn, once. */
  #say(): void {
    this.#seq += 1n;
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      if (this.#isDraining && this.#entries.size > 0) this.#rest();
      if (this.#stream !== undefined) this.#sendExports();
      else if (this.#entries.size > 0) void this.#open();
    });
  }

  #sendExports(): void {
    const listeners = exportsOf(this.#entries);
    this.#stream?.send({ $case: "exports", value: message(Exports, { seq: this.#seq, listeners }) });
  }

  async #open(): Promise<void> {
    if (this.#opening !== undefined || this.#cancelReconnect !== undefined) return;
    const opening = new AbortController();
    this.#opening = opening;
    let nodeId: string;
    try {
      nodeId = await this.#access.ready(opening.signal);
    } catch (error) {
      if (this.#opening === opening) {
        this.#opening = undefined;
        this.#ended(RpcError.from(error));
      }
      return;
    }
    if (opening.signal.aborted) return;
    this.#opening = undefined;
    const { incarnation, address, labels, displayName, sdk, channel } = this.#access;
    const metadata = this.#options.callMetadata?.() ?? new Metadata();
    const stream: SessionStream = new SessionStream(channel, metadata, {
      onDown: (down) => {
        if (stream === this.#stream) this.#onDown(down);
      },
      onEnd: (error) => {
        if (stream === this.#stream) this.#ended(error);
      },
    });
    this.#stream = stream;
    this.#refusedNow.clear();
    const hello = message(Hello, { incarnation, nodeId, sdk, address, labels: { ...labels }, displayName });
    stream.send({ $case: "hello", value: hello });
    this.#sendExports();
  }

  #onDown(down: NonNullable<Down["message"]>): void {
    switch (down.$case) {
      case "accepted":
        this.#failures = 0;
        this.#lastProblem = "";
        // The refusals of an answer come before it.
        for (const entry of this.#entries) entry.isHeldBack = this.#refusedNow.has(entry);
        this.#refusedNow.clear();
        this.#settle("accepted", down.value.seq);
        return;
      case "published":
        this.#settle("published", down.value.seq);
        return;
      case "rejected":
        this.#rejected(down.value);
        return;
      case "safeToStop":
        this.#safeToStop?.();
        this.#safeToStop = undefined;
        return;
      case "goAway":
        this.#stream?.close();
        this.#failures = 0;
        this.#ended(new RpcError("UNAVAILABLE", "the control plane is going away"));
        return;
    }
  }

  #settle(until: Waiter["until"], seq: bigint): void {
    for (const waiter of [...this.#waiters]) {
      if (waiter.until !== until || waiter.seq > seq || waiter.entry.isHeldBack) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  #rejected({ subject, code, reason }: Extract<Down["message"], { $case: "rejected" }>["value"]): void {
    const what = subject === "" ? "the registration" : `"${subject}"`;
    const text = `the control plane refused ${what}: ${reason} (${code})`;
    this.#problem({ code, message: text });
    if (code === portTaken && subject !== "") {
      for (const entry of this.#entries) if (entry.listener.portName === subject) this.#refusedNow.add(entry);
      return;
    }
    for (const waiter of [...this.#waiters]) {
      // A refused interface is left out and the rest stands; a refused port or message is the end of it.
      if (subject !== "" && subject !== waiter.entry.listener.portName) continue;
      this.#waiters.delete(waiter);
      waiter.reject(new RpcError("FAILED_PRECONDITION", text));
    }
  }

  #ended(error: RpcError): void {
    this.#stream = undefined;
    // Nothing more will be told about stopping.
    this.#safeToStop?.();
    this.#safeToStop = undefined;
    if (this.#entries.size === 0) return;
    const details = `the registration session ended: ${error.details}`;
    if (finalCodes.has(error.code)) {
      this.#problem({ code: undefined, message: details });
      for (const waiter of [...this.#waiters]) {
        this.#waiters.delete(waiter);
        waiter.reject(new RpcError(error.code, details, { cause: error }));
      }
    } else if (this.#failures === 1) this.#problem({ code: undefined, message: details });
    const random = this.#options.random ?? Math.random;
    const delayMs = Math.min(firstBackoffMs * 1.6 ** this.#failures, longestBackoffMs) * (0.8 + 0.4 * random());
    // The first attempt after a session that worked comes soon: the registry waits for it before it withdraws anything.
    const soonMs = this.#failures === 0 ? 200 * random() : delayMs;
    this.#failures += 1;
    this.#cancelReconnect = this.#clock.schedule(soonMs, () => {
      this.#cancelReconnect = undefined;
      this.#seq += 1n;
      void this.#open();
    });
  }

  #problem(problem: RegistrationProblem): void {
    if (problem.message === this.#lastProblem) return;
    this.#lastProblem = problem.message;
    this.#options.onProblem?.(problem);
  }
}

/** A port is listed once, also where it is bound on several addresses: clients reach the process at one. */
function exportsOf(entries: Iterable<Entry>): Listener[] {
  const byPort = new Map<number, Listener>();
  for (const { listener, state } of entries) {
    const known = byPort.get(listener.port);
    if (known === undefined) {
      byPort.set(listener.port, message(Listener, { ...listener, interfaces: [...listener.interfaces], state }));
      continue;
    }
    if (state === Listener_State.SERVING) known.state = state;
    known.interfaces = [...new Set([...known.interfaces, ...listener.interfaces])];
  }
  return [...byPort.values()];
}
