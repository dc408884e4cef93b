import type { Listener } from "./listener.ts";

/** A server as far as whoever looks on is concerned: where it listens. */
export interface ListeningServer {
  /** Open ones, and those that no longer accept but still have connections. */
  readonly listeners: ReadonlySet<Listener>;
}

const servers = new Set<ListeningServer>();

/** Makes `server` known: from its first listener on. */
export function trackServer(server: ListeningServer): void {
  servers.add(server);
}

/** `server` is closed. */
export function forgetServer(server: ListeningServer): void {
  servers.delete(server);
}

/** The process's servers that listen, oldest first. */
export function liveServers(): ListeningServer[] {
  return [...servers];
}

/** Those of `server`'s listeners that accept. */
export function listeningOnes({ listeners }: ListeningServer): Listener[] {
  return [...listeners].filter(({ isListening }) => isListening);
}

/** What `server` is called: where it listens. */
export function serverName(server: ListeningServer): string {
  return listeningOnes(server)
    .map(({ address }) => address)
    .join(", ");
}
