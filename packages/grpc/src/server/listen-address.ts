import { once } from "node:events";
import { connect } from "node:net";
import { lateBuiltins } from "../late-builtins.ts";
import { RpcError } from "../rpc/error.ts";

/** An address to listen on. */
export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

const tcpPattern = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/;

/** What `host:port`, `[v6]:port`, `:port` (every interface), `unix:path` or `unix:///path` says; throws an RpcError on anything else. */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith("unix:")) {
    const path = text.slice(text.startsWith("unix://") ? "unix://".length : "unix:".length);
    if (path !== "") return { kind: "unix", path };
  } else {
    const [, v6, host, port] = tcpPattern.exec(text) ?? [];
    if (port !== undefined && Number(port) <= 65_535)
      return { kind: "tcp", host: v6 ?? (host || "::"), port: Number(port) };
  }
  throw new RpcError("INVALID_ARGUMENT", `cannot listen on "${text}": expected host:port, [v6]:port or unix:/path`);
}

/**
 * Removes the socket file that a process which is gone left at `path`. One that somebody still listens on, or that isn't
 * a socket at all, stays: listening will say that the address is in use.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const { lstat, unlink } = lateBuiltins.fs.promises;
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !found.isSocket()) return;
  const probe = connect(path);
  try {
    await once(probe, "connect");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ECONNREFUSED") await unlink(path);
  } finally {
    probe.destroy();
  }
}
