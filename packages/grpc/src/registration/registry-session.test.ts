import { type Down, InterfaceRegistryDefinition, type Up } from "@weft/xds-api/weft/registry/v1/registry";
import { afterEach, describe, expect, test } from "vitest";
import { Channel } from "../channel/channel.ts";
import { RpcError } from "../rpc/error.ts";
import { createServer } from "../server/server.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { ManualClock } from "../subchannel/testing/manual-clock.ts";
import { type RegistrationProblem, RegistrySession } from "./registry-session.ts";

type DownMessage = NonNullable<Down["message"]>;
type UpMessage = NonNullable<Up["message"]>;
/** What the registry answers to a message, pauses in between; an error ends the session. */
type Answers = readonly (DownMessage | Promise<void>)[] | RpcError;
type Script = (up: UpMessage, session: number) => Answers | Promise<Answers>;

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const accept = (up: UpMessage, _session: number): readonly DownMessage[] => {
  if (up.$case === "drain") return [{ $case: "safeToStop", value: {} }];
  if (up.$case !== "exports") return [];
  const { seq } = up.value;
  return [
    { $case: "accepted", value: { seq, spiffeId: "", hosts: [] } },
    { $case: "published", value: { seq } },
  ];
};

async function start(script: Script = accept) {
  const said: UpMessage[] = [];
  const problems: RegistrationProblem[] = [];
  let sessions = 0;
  const server = createServer();
  server.add(InterfaceRegistryDefinition, {
    async *session(messages: AsyncIterable<Up>) {
      const session = ++sessions;
      for await (const { message } of messages) {
        if (message === undefined) continue;
        said.push(message);
        const answers = await script(message, session);
        if (answers instanceof RpcError) throw answers;
        for (const answer of answers) {
          if (answer instanceof Promise) {
            await answer;
            continue;
          }
          yield { message: answer };
          if (answer.$case === "goAway") return;
        }
      }
    },
  });
  const { address } = await server.listen("127.0.0.1:0");
  const channel = new Channel(address, {}, new SubchannelPool());
  const access = {
    channel,
    ready: async () => "node",
    incarnation: "1",
    address: "",
    labels: {},
    displayName: "",
    sdk: "",
  };
  const clock = new ManualClock();
  const session = new RegistrySession(access, {
    onProblem: (problem) => problems.push(problem),
    clock,
    random: () => 0.5,
  });
  open.push(
    () => server.close(0),
    () => channel.close(),
    async () => session.close(),
  );
  return { session, said, problems, clock, sessions: () => sessions };
}

const listener = (port = 7070, portName = "grpc") => ({
  portName,
  port,
  boundAddress: `127.0.0.1:${port}`,
  interfaces: ["greet.v1.Greeter"],
});

describe("a registry session", () => {
  test("says hello, then the whole list with each change and a rising number", async () => {
    const { session, said } = await start();
    const first = session.add(listener(1));
    await first.accepted;
    first.setServing(true);
    await session.add(listener(2)).accepted;
    const exports = said.flatMap((up) => (up.$case === "exports" ? [up.value] : []));
    expect(said[0]).toMatchObject({ $case: "hello", value: { nodeId: "node", incarnation: "1" } });
    expect(exports.map(({ listeners }) => listeners.map(({ port }) => port))).toEqual([[1], [1, 2]]);
    expect(exports[1]!.seq > exports[0]!.seq).toBe(true);
  });

  test("goes on where an interface is refused, and says which", async () => {
    const { session, problems } = await start((up, number) => {
      const answers = accept(up, number);
      if (up.$case !== "exports") return answers;
      const refused = { seq: up.value.seq, subject: "greet.v1.Greeter", code: "WEFT0206", reason: "it is reserved" };
      return [{ $case: "rejected", value: refused }, ...answers];
    });
    await session.add(listener()).accepted;
    expect(problems).toMatchObject([{ code: "WEFT0206", message: expect.stringContaining('"greet.v1.Greeter"') }]);
  });

  test("lists a port that is bound on two addresses once, serving where either is", async () => {
    const { session, said } = await start();
    const first = session.add(listener(1));
    const second = session.add({ ...listener(1), boundAddress: "[::1]:1", interfaces: ["greet.v1.Other"] });
    await second.accepted;
    second.setServing(true);
    await second.published();
    await first.accepted;
    const exports = said.flatMap((up) => (up.$case === "exports" ? [up.value.listeners] : []));
    expect(exports.at(-1)).toMatchObject([
      { port: 1, boundAddress: "127.0.0.1:1", state: 2, interfaces: ["greet.v1.Greeter", "greet.v1.Other"] },
    ]);
  });

  test("waits where another instance has its port, and hears of it once it is free", async () => {
    const free = Promise.withResolvers<void>();
    const { session, problems } = await start((up, number) => {
      const answers = accept(up, number);
      if (up.$case !== "exports") return answers;
      const refused = { seq: up.value.seq, subject: "grpc", code: "WEFT0203", reason: "it is another's" };
      return [{ $case: "rejected", value: refused }, ...answers, free.promise, ...answers];
    });
    let isAccepted = false;
    const { accepted } = session.add(listener());
    void accepted.then(() => {
      isAccepted = true;
    });
    // What else is registered isn't held up.
    await session.add(listener(2, "other")).accepted;
    expect(isAccepted).toBe(false);
    expect(problems).toMatchObject([{ code: "WEFT0203" }]);
    free.resolve();
    await accepted;
  });

  test("that may not be is told to those who wait for it", async () => {
    const { session, problems } = await start(() => new RpcError("PERMISSION_DENIED", "WEFT0201: another namespace"));
    await expect(session.add(listener()).accepted).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
      details: expect.stringContaining("another namespace"),
    });
    expect(problems).toHaveLength(1);
  });

  test("moves when the registry goes away", async () => {
    const { session, said, clock } = await start((up, number) =>
      number === 1 && up.$case === "exports" ? [...accept(up, 1), { $case: "goAway", value: {} }] : accept(up, number),
    );
    const registered = session.add(listener());
    await registered.published();
    await expect.poll(() => clock.pendingMs.length).toBeGreaterThan(0);
    clock.advance(200);
    await expect.poll(() => said.filter((up) => up.$case === "hello").length).toBe(2);
  });

  test("resolves what it was asked for before it broke, once it is mended", async () => {
    const { session, clock } = await start((up, number) =>
      number === 1 && up.$case === "exports" ? new RpcError("UNAVAILABLE", "restarting") : accept(up, number),
    );
    const { accepted } = session.add(listener());
    await expect.poll(() => clock.pendingMs.length).toBeGreaterThan(0);
    clock.advance(1_000);
    await accepted;
  });

  test("is quiet once the last listener is gone", async () => {
    const { session, said, clock } = await start();
    const registered = session.add(listener());
    await registered.accepted;
    await registered.remove(1_000);
    expect(said.at(-1)).toMatchObject({ $case: "drain" });
    expect(clock.pendingMs).toEqual([]);
  });

  test("begins anew for a listener that comes after the last one left", async () => {
    const { session, sessions } = await start();
    const registered = session.add(listener());
    await registered.accepted;
    await registered.remove(1_000);
    await session.add(listener(2)).accepted;
    expect(sessions()).toBe(2);
  });
});
