import { ErrorCode, type LimitName } from "./error.ts";
import { FrameFlag, maxMaxFrameBytes, maxWindowBytes, minMaxFrameBytes, readUint32, Setting } from "./frame.ts";
import type { HpackDecoder } from "./hpack/decoder.ts";
import type { Http2Limits } from "./options.ts";
import { Flood, type PeerConduct } from "./peer-conduct.ts";
import type { Streams } from "./streams.ts";
import { Wait, type Watchdog } from "./watchdog.ts";

const maxParameters = 64;

/** Ends the connection for a mistake of the peer; false, so that it can be returned. */
export type Fail = (code: number, message: string, limit?: LimitName) => false;

/** SETTINGS both ways: what each side told the other, and what is not acknowledged yet (RFC 9113 §6.5). */
export class SettingsExchange {
  readonly #streams: Streams;
  readonly #decoder: HpackDecoder;
  readonly #conduct: PeerConduct;
  readonly #watchdog: Watchdog;
  readonly #limits: Http2Limits;
  readonly #fail: Fail;
  /** The peer's SETTINGS are here. */
  isReady = false;
  #unacknowledged = 0;

  constructor(
    streams: Streams,
    decoder: HpackDecoder,
    conduct: PeerConduct,
    watchdog: Watchdog,
    limits: Http2Limits,
    fail: Fail,
  ) {
    this.#streams = streams;
    this.#decoder = decoder;
    this.#conduct = conduct;
    this.#watchdog = watchdog;
    this.#limits = limits;
    this.#fail = fail;
    if (limits.headerTableBytes > 4096) decoder.allowTableBytes(limits.headerTableBytes);
  }

  /** Says what this side allows; the first frame of a connection. */
  announce(): void {
    const limits = this.#limits;
    const first = this.#streams.isServer
      ? [Setting.maxConcurrentStreams, limits.maxConcurrentStreams]
      : [Setting.enablePush, 0];
    first.push(Setting.initialWindowSize, limits.initialStreamWindowBytes);
    first.push(Setting.maxHeaderListSize, limits.maxHeaderListBytes);
    if (limits.headerTableBytes !== 4096) first.push(Setting.headerTableSize, limits.headerTableBytes);
    if (limits.maxFrameBytes !== minMaxFrameBytes) first.push(Setting.maxFrameSize, limits.maxFrameBytes);
    this.send(first);
  }

  /** SETTINGS as flat [parameter, value, …]. */
  send(parameters: readonly number[]): void {
    this.#streams.sender.sendSettings(0, parameters);
    this.#unacknowledged += 1;
    if (!this.#watchdog.isArmed(Wait.settings)) this.#watchdog.arm(Wait.settings, this.#limits.settingsTimeoutMs);
  }

  /** Takes the peer's SETTINGS or its acknowledgement; true when there are settings that hold from now on. */
  onFrame(flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (streamId !== 0) return this.#fail(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream");
    if ((flags & FrameFlag.ack) !== 0) {
      if (length !== 0) return this.#fail(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS acknowledgement with parameters");
      return this.#onAck();
    }
    const { sender } = this.#streams;
    if (length % 6 !== 0) return this.#fail(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of broken length");
    if (length > maxParameters * 6 || !this.#conduct.take(Flood.settings, sender)) {
      return this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too many SETTINGS", "settings-flood");
    }
    for (let at = start; at < end; at += 6) {
      const parameter = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
      if (!this.#apply(parameter, readUint32(bytes, at + 2))) return false;
    }
    sender.sendSettings(FrameFlag.ack, []);
    if (!this.isReady) {
      this.isReady = true;
      this.#watchdog.disarm(Wait.preface);
    }
    return true;
  }

  #apply(parameter: number, value: number): boolean {
    const streams = this.#streams;
    const { sender } = streams;
    switch (parameter) {
      case Setting.headerTableSize:
        sender.encoder.limitTable(value);
        return true;
      case Setting.enablePush:
        if (value > 1 || (value === 1 && !streams.isServer)) {
          return this.#fail(ErrorCode.PROTOCOL_ERROR, `SETTINGS_ENABLE_PUSH of ${value}`);
        }
        return true;
      case Setting.maxConcurrentStreams:
        streams.peerMax = value;
        return true;
      case Setting.initialWindowSize:
        if (value > maxWindowBytes || !sender.setInitialWindow(value, streams.open.toArray())) {
          return this.#fail(ErrorCode.FLOW_CONTROL_ERROR, `SETTINGS_INITIAL_WINDOW_SIZE of ${value}`);
        }
        return true;
      case Setting.maxFrameSize:
        if (value < minMaxFrameBytes || value > maxMaxFrameBytes) {
          return this.#fail(ErrorCode.PROTOCOL_ERROR, `SETTINGS_MAX_FRAME_SIZE of ${value}`);
        }
        sender.maxFrameBytes = value;
        return true;
      case Setting.maxHeaderListSize:
        sender.maxListBytes = value;
        return true;
      default:
        return true;
    }
  }

  #onAck(): false {
    if (this.#unacknowledged === 0) {
      if (!this.#conduct.take(Flood.useless, this.#streams.sender)) {
        this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too many frames to no purpose", "control-frame-flood");
      }
      return false;
    }
    this.#unacknowledged -= 1;
    // the first SETTINGS carried the table's size; a smaller one counts from here on
    this.#decoder.allowTableBytes(this.#limits.headerTableBytes);
    if (this.#unacknowledged === 0) this.#watchdog.disarm(Wait.settings);
    else this.#watchdog.arm(Wait.settings, this.#limits.settingsTimeoutMs);
    return false;
  }
}
