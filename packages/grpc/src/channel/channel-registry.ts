import type { Channel } from "./channel.ts";

const channels = new Set<WeakRef<Channel>>();
const forget = new FinalizationRegistry<WeakRef<Channel>>((reference) => channels.delete(reference));

/** Makes `channel` known until the function returned is called, or nobody holds the channel any more. */
export function trackChannel(channel: Channel): () => void {
  const reference = new WeakRef(channel);
  channels.add(reference);
  forget.register(channel, reference, reference);
  return () => {
    channels.delete(reference);
    forget.unregister(reference);
  };
}

/** The process's channels that aren't closed, oldest first. */
export function liveChannels(): Channel[] {
  return [...channels].map((reference) => reference.deref()).filter((channel) => channel !== undefined);
}
