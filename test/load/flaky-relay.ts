import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Relays a free loopback port to another one, and breaks connections when told. */
export interface FlakyRelay extends AsyncDisposable {
  readonly port: number;
  /** Pairs of sockets that are open. */
  readonly openConnections: number;
  /** How many were opened. */
  readonly connections: number;
  /** Breaks one of the open connections, chosen by `random`: with a RST or without. */
  breakOne(random: () => number): void;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

export async function startFlakyRelay(targetPort: number): Promise<FlakyRelay> {
  const pairs = new Set<Pair>();
  let connections = 0;
  const server = createServer({ allowHalfOpen: true }, (near) => {
    connections++;
    const far = connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true });
    const pair = { near, far };
    pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("error", () => undefined);
      from.pipe(to);
      from.on("close", () => {
        to.destroy();
        if (near.destroyed && far.destroyed) pairs.delete(pair);
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get openConnections() {
      return pairs.size;
    },
    get connections() {
      return connections;
    },
    breakOne(random) {
      const all = [...pairs];
      const pair = all[Math.floor(random() * all.length)];
      if (pair === undefined) return;
      const side = random() < 0.5 ? pair.near : pair.far;
      if (random() < 0.5) side.resetAndDestroy();
      else side.destroy();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const { near, far } of pairs) {
        near.destroy();
        far.destroy();
      }
      await once(server, "close");
    },
  };
}
