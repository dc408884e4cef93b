import type { PlainServerCredentials } from "../identity/credentials.ts";
import { RpcError } from "../rpc/error.ts";
import type { ListeningPolicyFactory } from "./listening-policy.ts";

/** Makes the policies of servers with xds credentials; `fallback` holds where the control plane names no security. */
export type XdsListening = (fallback: PlainServerCredentials) => ListeningPolicyFactory;

let load: (() => Promise<XdsListening>) | undefined;

/** Says where policies of xds credentials come from; `loader` runs at the first server that listens with them. For entries. */
export function registerXdsListening(loader: () => Promise<XdsListening>): void {
  load = loader;
}

/** The policy of xds credentials. Without a registered loader listening fails: never plaintext by accident. */
export function xdsListening(fallback: PlainServerCredentials): ListeningPolicyFactory {
  return async (bound, signal) => {
    if (load === undefined) {
      throw new RpcError(
        "FAILED_PRECONDITION",
        "xds credentials need a control plane, and none is wired in this process",
      );
    }
    const listening = await load();
    return listening(fallback)(bound, signal);
  };
}
