import type { WakefulLoop } from "./busy-poll.ts";
import type { SocketReader } from "./socket-reader.ts";

/** Time as a connection needs it; tests pass their own. `now` is monotonic, in milliseconds. */
export interface Clock {
  now(): number;
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** Node's timers, which don't keep a process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs).unref(),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

/** What a peer may ask of this side. Every field has a safe default (`defaultLimits`); counts of frames are per `floodWindowMs`. */
export interface Http2Limits {
  /** Streams a client may have open on one server connection; more are refused (REFUSED_STREAM: safe to retry). */
  readonly maxConcurrentStreams: number;
  /** Decoded size of one header list as RFC 9113 §6.5.2 counts it (32 bytes extra a field); also bounds the encoded block. */
  readonly maxHeaderListBytes: number;
  readonly maxContinuationFrames: number;
  /** The dynamic table that the peer's encoder may use here. */
  readonly headerTableBytes: number;
  /** The dynamic table that our encoder uses at most, whatever the peer would allow. */
  readonly encoderTableBytes: number;
  /** Largest frame payload accepted: 16,384 to 16,777,215. */
  readonly maxFrameBytes: number;
  /** Receive windows: they start here and grow with the bandwidth-delay product up to the maxima. */
  readonly initialStreamWindowBytes: number;
  readonly maxStreamWindowBytes: number;
  readonly initialConnectionWindowBytes: number;
  readonly maxConnectionWindowBytes: number;
  /** `write` returns false above the high mark; `onWritable` comes below the low mark. */
  readonly writeHighWaterBytes: number;
  readonly writeLowWaterBytes: number;
  /** Bytes that wait for a peer that doesn't read: above it, reading from that peer pauses; above four times, the connection ends. */
  readonly maxOutboundBytes: number;
  readonly floodWindowMs: number;
  readonly maxSettingsFrames: number;
  /** PINGs since this side last sent HEADERS or DATA (peers measure bandwidth with PINGs while data flows). */
  readonly maxPingFrames: number;
  /** DATA, HEADERS and CONTINUATION that carry nothing. */
  readonly maxEmptyFrames: number;
  /** PRIORITY, unknown frames, WINDOW_UPDATE and others for streams that are gone; since this side last sent HEADERS or DATA. */
  readonly maxUselessFrames: number;
  /**
   * Streams that the peer resets early, or makes us reset, beyond those that end normally (each of which pays one back); refills
   * within a second.
   */
  readonly maxResets: number;
  /** A peer's reset is early within this time of the request; later ones are free, so that a client whose deadlines pass is not cut off. */
  readonly earlyResetMs: number;
  /** Until the peer's preface and SETTINGS are here. */
  readonly prefaceTimeoutMs: number;
  /** Until the peer acknowledges our SETTINGS. */
  readonly settingsTimeoutMs: number;
  /** A server's streams whose data waits for a window that the peer doesn't open are reset after this time, oldest first… */
  readonly windowStallTimeoutMs: number;
  /** …while more than this waits on the connection: to leave a stream unread for long is a client's right, to make us keep much isn't. */
  readonly maxStalledBytes: number;
  /** A peer that takes no bytes at all from a full socket. */
  readonly writeStallTimeoutMs: number;
  /** From our last GOAWAY until the socket is destroyed, when the peer doesn't close it. */
  readonly closeTimeoutMs: number;
}

/** The limits a connection uses unless told otherwise. */
export const defaultLimits: Http2Limits = {
  maxConcurrentStreams: 4096,
  maxHeaderListBytes: 64 * 1024,
  maxContinuationFrames: 16,
  headerTableBytes: 4096,
  encoderTableBytes: 4096,
  maxFrameBytes: 16 * 1024,
  initialStreamWindowBytes: 256 * 1024,
  maxStreamWindowBytes: 8 * 1024 * 1024,
  initialConnectionWindowBytes: 1024 * 1024,
  maxConnectionWindowBytes: 16 * 1024 * 1024,
  writeHighWaterBytes: 128 * 1024,
  writeLowWaterBytes: 32 * 1024,
  maxOutboundBytes: 256 * 1024,
  floodWindowMs: 10_000,
  maxSettingsFrames: 100,
  maxPingFrames: 500,
  maxEmptyFrames: 500,
  maxUselessFrames: 5000,
  maxResets: 1000,
  earlyResetMs: 100,
  prefaceTimeoutMs: 10_000,
  settingsTimeoutMs: 20_000,
  windowStallTimeoutMs: 300_000,
  maxStalledBytes: 4 * 1024 * 1024,
  writeStallTimeoutMs: 60_000,
  closeTimeoutMs: 1000,
};

/** Receive windows that start at `bytes`, on the connection and on each of its streams. */
export function windowLimits(bytes: number): Partial<Http2Limits> {
  return { initialStreamWindowBytes: bytes, initialConnectionWindowBytes: bytes };
}

/** How a connection behaves; everything has a default. */
export interface Http2Options {
  readonly limits?: Partial<Http2Limits>;
  readonly clock?: Clock;
  /** What the socket was connected with, where it reads into a buffer of that. */
  readonly reader?: SocketReader | undefined;
  /** What is kept from sleeping while the answer of a near peer is due (`BusyPoll`). Default: this process; false: nothing. */
  readonly busyPoll?: WakefulLoop | false | undefined;
}
