import { chmodSync, lstatSync, mkdirSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { RpcError } from "@weft/grpc";

/** An agent's own directory: what it keeps there, and nothing that somebody else does. */
export interface AgentHome {
  readonly path: string;
  readonly xdsSocket: string;
  readonly bootstrap: string;
  /** Removes what the agent kept, and the directory where the agent made it. */
  leave(): void;
}

const socketName = "xds.sock";
const bootstrapName = "bootstrap.json";
const isOurs = (name: string): boolean =>
  name === socketName || name === bootstrapName || /^certificates(\.(\d+|next))?$/.test(name);

/**
 * Takes `path` as an agent's home, 0700. What an agent that was killed left there is written over.
 *
 * Rejects with RpcError where another agent runs in it, where it is another user's, or where other users may enter it and
 * it holds other things than an agent's: closing it could lock them out.
 */
export async function claimHome(path: string): Promise<AgentHome> {
  const isNew = mkdirSync(path, { recursive: true, mode: 0o700 }) !== undefined;
  const { mode, uid } = lstatSync(path);
  const names = readdirSync(path);
  if (uid !== process.getuid?.()) throw refused(`${path} belongs to another user`);
  if ((mode & 0o077) !== 0) {
    if (!names.every(isOurs)) throw refused(`${path} can be entered by other users and holds other things`);
    chmodSync(path, 0o700);
  }
  const xdsSocket = join(path, socketName);
  if (names.includes(socketName) && (await answers(xdsSocket))) throw refused(`another agent runs in ${path}`);
  return {
    path,
    xdsSocket,
    bootstrap: join(path, bootstrapName),
    leave: () => {
      for (const name of readdirSync(path))
        if (isOurs(name)) rmSync(join(path, name), { recursive: true, force: true });
      if (isNew && readdirSync(path).length === 0) rmdirSync(path);
    },
  };
}

function refused(reason: string): RpcError {
  return new RpcError("FAILED_PRECONDITION", `${reason}: give the agent a directory of its own`);
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
