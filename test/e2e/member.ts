import { createClient } from "@weft/grpc";
import { type ControlPlane, createControlPlane, readSettings } from "@weft/grpc/platform";
import { message } from "@weft/xds-api";
import { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import { AggregatedDiscoveryServiceDefinition } from "@weft/xds-api/envoy/service/discovery/v3/ads";
import { DiscoveryRequest, type DiscoveryResponse } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import {
  type Down,
  Exports,
  Hello,
  InterfaceRegistryDefinition,
  Listener,
  Listener_State,
  Up,
} from "@weft/xds-api/weft/registry/v1/registry";

/**
 * Somebody who has joined and now says what it likes: no SDK between it and the control plane but the channel that its
 * certificate opens.
 */
export class Member implements AsyncDisposable {
  readonly controlPlane: ControlPlane;
  readonly #end = new AbortController();

  constructor(environment: Readonly<Record<string, string>>) {
    this.controlPlane = createControlPlane(readSettings(environment));
  }

  /** One joined as `environment` says. */
  static async join(environment: Readonly<Record<string, string>>): Promise<Member> {
    const member = new Member(environment);
    await member.controlPlane.node(AbortSignal.timeout(10_000));
    return member;
  }

  /** The first answer of an ADS stream by a node that it calls itself; throws what the stream ends with. */
  async discover(typeUrl: string, names: readonly string[], node: Partial<Node>): Promise<DiscoveryResponse> {
    const stop = new AbortController();
    const first = message(DiscoveryRequest, {
      typeUrl,
      resourceNames: [...names],
      node: message(Node, { userAgentName: "gRPC Test", ...node }),
    });
    const client = createClient(AggregatedDiscoveryServiceDefinition, this.controlPlane.channel);
    const answers = client.streamAggregatedResources(onceAnd(first, stop.signal), { signal: stop.signal });
    for await (const answer of answers) {
      stop.abort();
      return answer;
    }
    throw new Error("the stream ended without an answer");
  }

  /** What a registry session with this Hello and these exports is answered, up to `until`; throws what it ends with. */
  async register(
    hello: Partial<Hello>,
    port: number,
    interfaces: readonly string[],
    until: NonNullable<Down["message"]>["$case"],
  ): Promise<NonNullable<Down["message"]>[]> {
    const listener = message(Listener, {
      portName: "grpc",
      port,
      boundAddress: `127.0.0.1:${port}`,
      state: Listener_State.SERVING,
      interfaces: [...interfaces],
    });
    const ups = [
      message(Up, {
        message: { $case: "hello", value: message(Hello, { incarnation: "1", nodeId: "member", ...hello }) },
      }),
      message(Up, { message: { $case: "exports", value: message(Exports, { seq: 1n, listeners: [listener] }) } }),
    ];
    const client = createClient(InterfaceRegistryDefinition, this.controlPlane.channel);
    const { signal } = this.#end;
    const heard: NonNullable<Down["message"]>[] = [];
    for await (const { message: down } of client.session(open(ups, signal), { signal })) {
      if (down === undefined) continue;
      heard.push(down);
      // Left open: the registration lives as long as its session.
      if (down.$case === until) return heard;
    }
    throw new Error(`the session ended without ${until}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.controlPlane.close();
  }
}

async function* onceAnd<T>(item: T, signal: AbortSignal): AsyncGenerator<T> {
  yield item;
  await aborted(signal);
}

async function* open<T>(items: readonly T[], signal: AbortSignal): AsyncGenerator<T> {
  yield* items;
  await aborted(signal);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
