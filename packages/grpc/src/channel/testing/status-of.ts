import type { CallListener } from "../../rpc/client-call.ts";

/** Resolves with the status of the call that `start` starts with the listener it is given. */
export function statusOf(start: (listener: CallListener) => void): Promise<number> {
  const nothing = () => undefined;
  return new Promise((resolve) =>
    start({ onHeaders: nothing, onMessage: nothing, onWritable: nothing, onStatus: (status) => resolve(status) }),
  );
}
