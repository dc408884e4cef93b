import { once } from "node:events";
import { type AddressInfo, createServer, isIP, type Server as NetServer, type Socket } from "node:net";
import { lateBuiltins } from "../late-builtins.ts";
import { RpcError } from "../rpc/error.ts";
import { hostPortText } from "../subchannel/address.ts";
import { type ListenAddress, removeStaleSocket } from "./listen-address.ts";

/** Takes an accepted socket; may be called before `bind` resolves. */
export type AcceptSocket = (socket: Socket) => void;

/** How often another free port is tried where one is free on only some of a name's addresses. */
const portAttempts = 10;

/**
 * Sockets that listen on `address`: one for an IP address or a unix socket, one per address of a name (`localhost` is
 * often two), all with the same port. Rejects with UNAVAILABLE where that can't be, and leaves nothing bound.
 */
export async function bind(address: ListenAddress, accept: AcceptSocket): Promise<NetServer[]> {
  try {
    if (address.kind === "unix") return [await bindUnix(address.path, accept)];
    if (isIP(address.host) !== 0) return [await bindTcp(address.host, address.port, accept)];
    const found = await lateBuiltins.dns.lookup(address.host, { all: true });
    const hosts = [...new Set(found.map((one) => one.address))];
    for (let attempt = 1; ; attempt++) {
      try {
        return await bindAll(hosts, address.port, accept);
      } catch (error) {
        if (address.port !== 0 || attempt === portAttempts || codeOf(error) !== "EADDRINUSE") throw error;
      }
    }
  } catch (cause) {
    const where = address.kind === "tcp" ? hostPortText(address) : `unix:${address.path}`;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RpcError("UNAVAILABLE", `cannot listen on ${where}: ${why}`, { cause });
  }
}

/** Each of `hosts` with one port. One that this machine doesn't have, such as v6 where that is off, is left out beside others. */
export async function bindAll(hosts: readonly string[], port: number, accept: AcceptSocket): Promise<NetServer[]> {
  const servers: NetServer[] = [];
  let missing: unknown;
  try {
    for (const host of hosts) {
      const [first] = servers;
      const chosen = first === undefined ? port : (first.address() as AddressInfo).port;
      try {
        servers.push(await bindTcp(host, chosen, accept));
      } catch (error) {
        if (codeOf(error) !== "EADDRNOTAVAIL" && codeOf(error) !== "EAFNOSUPPORT") throw error;
        missing = error;
      }
    }
    if (servers.length === 0) throw missing;
    return servers;
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}

async function bindTcp(host: string, port: number, accept: AcceptSocket): Promise<NetServer> {
  const server = createServer({ noDelay: true }, accept);
  server.listen(port, host);
  await once(server, "listening");
  return server;
}

async function bindUnix(path: string, accept: AcceptSocket): Promise<NetServer> {
  await removeStaleSocket(path);
  const server = createServer(accept);
  // The file must never be open to others, not even between bind and chmod; workers have no umask of their own.
  const umask = lateBuiltins.workers.isMainThread ? process.umask(0o177) : undefined;
  try {
    server.listen(path);
  } finally {
    if (umask !== undefined) process.umask(umask);
  }
  await once(server, "listening");
  await lateBuiltins.fs.promises.chmod(path, 0o600);
  return server;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
