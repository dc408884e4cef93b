import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";

/**
 * Who listens on a local TCP port: `node weft.js (pid 4711)`, or undefined where the system doesn't tell (it is not Linux, or the
 * process is another user's).
 */
export function portHolder(port: number): string | undefined {
  try {
    const inode = listeningInode(port);
    return inode === undefined ? undefined : processWithSocket(inode);
  } catch {
    // Only a nicety of an error message: without /proc there is none.
    return undefined;
  }
}

const listenState = "0A";

function listeningInode(port: number): string | undefined {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readFileSync(table, "utf8").split("\n").slice(1)) {
      const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === listenState && local.endsWith(`:${wanted}`)) return inode;
    }
  }
  return undefined;
}

function processWithSocket(inode: string): string | undefined {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (hasSocket(pid, inode)) return `${programOf(pid)} (pid ${pid})`;
  }
  return undefined;
}

/** `node weft.js`: of an interpreter the script says more than the name; arguments may hold secrets. */
function programOf(pid: string): string {
  const [program = "", script = ""] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  return [program, ...(script.startsWith("-") ? [] : [script])]
    .map((path) => basename(path))
    .join(" ")
    .trim();
}

function hasSocket(pid: string, inode: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`);
  } catch {
    // It ended meanwhile, or is another user's.
    return false;
  }
}
