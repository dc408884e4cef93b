import {
  type CallCredentials,
  type ChannelCredentials,
  type ChannelInterface,
  type ChannelOptions,
  type ClientOptions,
  connectivityState,
  type Deadline,
  propagate,
} from "@grpc/grpc-js";
import { Channel as OurChannel } from "../channel/channel.ts";
import { userAgent } from "../channel/user-agent.ts";
import { CallHead } from "../rpc/call-head.ts";
import { idOf } from "../services/channelz-ids.ts";
import type { ConnectivityState } from "../subchannel/connectivity-state.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { credentialParts } from "./channel-credentials.ts";
import { channelOptions } from "./channel-options.ts";
import { type ParentServerCall, SurfaceClientCall } from "./client-call.ts";
import { throughHttpConnect } from "./http-connect.ts";

type ChannelRef = ReturnType<ChannelInterface["getChannelzRef"]>;
type GrpcJsCall = ReturnType<ChannelInterface["createCall"]>;

/** Hosts whose heads are kept beside the channel's own: a caller that makes up hosts must not fill the memory. */
const mostHosts = 100;

/** grpc-js's Channel on this package's transport: what `channelOverride` and `channelFactoryOverride` of unchanged stubs take. */
export class Channel implements ChannelInterface {
  readonly #channel: OurChannel;
  readonly #callCredentials: CallCredentials | undefined;
  readonly #userAgent: string;
  readonly #hosts = new Map<string, CallHead>();
  #openCalls = 0;
  #isShutDown = false;
  readonly #onCallStarted = () => {
    this.#openCalls++;
  };
  readonly #onCallEnded = () => {
    this.#openCalls--;
    if (this.#isShutDown) this.close();
  };

  constructor(target: string, credentials: ChannelCredentials, options: ChannelOptions = {}) {
    if (typeof target !== "string") throw new TypeError("Channel target must be a string");
    const dialled = throughHttpConnect(target, options);
    const settings = { ...channelOptions(options), ...dialled.ours };
    const pool = options["grpc.use_local_subchannel_pool"] === 1 ? new SubchannelPool() : undefined;
    const { channel, call } = credentialParts(credentials, dialled.grpcJs);
    this.#channel = new OurChannel(dialled.target, { ...settings, credentials: channel }, pool);
    this.#callCredentials = call;
    this.#userAgent = userAgent(settings.userAgent);
  }

  /** Takes no more calls; those that run go on, as with grpc-js, and the connections are given back after the last. */
  close(): void {
    this.#isShutDown = true;
    if (this.#openCalls === 0) void this.#channel.close();
  }

  getTarget(): string {
    return this.#channel.target;
  }

  getConnectivityState(tryToConnect: boolean): connectivityState {
    if (this.#isShutDown) return connectivityState.SHUTDOWN;
    return connectivityState[this.#channel.connectivityState(tryToConnect)];
  }

  watchConnectivityState(current: connectivityState, deadline: Date | number, callback: (error?: Error) => void): void {
    if (this.#isShutDown) throw new Error("Channel has been shut down");
    const late = new AbortController();
    const leftMs = deadlineMs(deadline) - Date.now();
    // Not unref'd: whoever waits for a channel wants the process to wait too.
    const timer = setTimeout(() => late.abort(), Math.min(leftMs, longestTimerMs));
    this.#channel.watchConnectivityState(connectivityState[current] as ConnectivityState, late.signal).then(
      () => {
        clearTimeout(timer);
        process.nextTick(callback);
      },
      () => process.nextTick(callback, new Error("Deadline passed without connectivity state change")),
    );
  }

  /** What channelz lists it by, unless `grpc.enable_channelz` is 0. */
  getChannelzRef(): ChannelRef {
    // The enum of kinds is not exported by grpc-js.
    return { kind: "channel" as ChannelRef["kind"], id: Number(idOf(this.#channel)), name: this.getTarget() };
  }

  createCall(
    method: string,
    deadline: Deadline,
    host: string | null | undefined,
    parentCall: ParentServerCall | null,
    propagateFlags: number | null | undefined,
  ): GrpcJsCall {
    if (typeof method !== "string") throw new TypeError("Channel#createCall: method must be a string");
    if (!(typeof deadline === "number" || deadline instanceof Date)) {
      throw new TypeError("Channel#createCall: deadline must be a number or Date");
    }
    if (this.#isShutDown) throw new Error("Channel has been shut down");
    return new SurfaceClientCall(
      {
        channel: this.#channel,
        head: this.#head(method, host),
        authority: host ?? this.#channel.authority,
        onStarted: this.#onCallStarted,
        onEnded: this.#onCallEnded,
      },
      {
        deadlineMs: deadlineMs(deadline),
        parent: parentCall ?? undefined,
        propagateFlags: propagateFlags ?? propagate.DEFAULTS,
      },
      this.#callCredentials,
    );
  }

  #head(method: string, host: string | null | undefined): CallHead {
    if (host === undefined || host === null || host === this.#channel.authority) return this.#channel.callHead(method);
    const key = `${host} ${method}`;
    // A service config may come and go.
    const { settings } = this.#channel.callHead(method);
    let head = this.#hosts.get(key);
    if (head?.settings !== settings) {
      if (this.#hosts.size >= mostHosts) this.#hosts.clear();
      head = new CallHead(method, host, this.#userAgent, settings);
      this.#hosts.set(key, head);
    }
    return head;
  }
}

/** For `channelFactoryOverride` of generated stubs that import grpc-js themselves. */
export function channelFactory(address: string, credentials: ChannelCredentials, options: ClientOptions): Channel {
  return new Channel(address, credentials, options);
}

/** Node's timers overflow beyond it. */
const longestTimerMs = 2 ** 31 - 1;

/** In milliseconds since the epoch; infinity for none. */
function deadlineMs(deadline: Deadline): number {
  const ms = +deadline;
  return Number.isFinite(ms) ? ms : Number.POSITIVE_INFINITY;
}
