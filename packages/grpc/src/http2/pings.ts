import type { Clock } from "./options.ts";
import type { Sender } from "./sender.ts";

/** First word of the PINGs that an owner asked for. */
export const pingTag = 0x77656674;

interface PendingPing {
  readonly id: number;
  readonly sentAtMs: number;
  readonly onAck: (rttMs: number) => void;
}

/** PINGs of a connection's owner that wait for their acknowledgement. */
export class Pings {
  readonly #sender: Sender;
  readonly #clock: Clock;
  #pending: PendingPing[] | undefined;
  #nextId = 1;

  constructor(sender: Sender, clock: Clock) {
    this.#sender = sender;
    this.#clock = clock;
  }

  send(onAck: (rttMs: number) => void): void {
    const id = this.#nextId;
    this.#nextId = (id + 1) >>> 0;
    this.#pending ??= [];
    this.#pending.push({ id, sentAtMs: this.#clock.now(), onAck });
    this.#sender.sendPing(0, pingTag, id);
  }

  /** The acknowledgement of PING `id`; false when nothing waits for it. */
  onAck(id: number): boolean {
    const pending = this.#pending ?? [];
    const at = pending.findIndex((ping) => ping.id === id);
    const [ping] = at < 0 ? [] : pending.splice(at, 1);
    if (ping === undefined) return false;
    ping.onAck(this.#clock.now() - ping.sentAtMs);
    return true;
  }

  /** The connection is over: no acknowledgement will come. */
  clear(): void {
    this.#pending = undefined;
  }
}
