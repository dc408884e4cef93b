import { connect } from "node:net";

const probeEveryMs = 100;

/**
 * Resolves when something accepts connections on a local port: an application of another language says no other way
 * that it is up. Rejects with the signal's reason on abort.
 */
export async function portAccepts(port: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    for (const host of ["127.0.0.1", "::1"]) if (await accepts(host, port)) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, probeEveryMs);
      signal.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
    });
  }
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
