import type { ConnectivityState } from "../connectivity-state.ts";
import type { Subchannel } from "../subchannel.ts";

/** Resolves when `subchannel` is in `state`, now or at a later change. */
export function reached(subchannel: Subchannel, state: ConnectivityState): Promise<void> {
  return new Promise((resolve) => {
    const watcher = {
      onSubchannelState() {
        if (subchannel.state !== state) return;
        subchannel.unwatch(watcher);
        resolve();
      },
    };
    subchannel.watch(watcher);
    watcher.onSubchannelState();
  });
}
