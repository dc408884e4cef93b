import type { IdentitySource, TlsMaterial } from "./material.ts";

/** The first material of `source`, at once if it has some. Rejects with the signal's reason on abort. */
export function firstMaterial(source: IdentitySource, signal?: AbortSignal): Promise<TlsMaterial> {
  return new Promise((resolve, reject) => {
    const look = (): boolean => {
      const material = source.current();
      if (material === undefined) return false;
      end();
      resolve(material);
      return true;
    };
    const aborted = () => {
      end();
      reject(signal?.reason);
    };
    const end = () => {
      stop();
      signal?.removeEventListener("abort", aborted);
    };
    if (signal?.aborted === true) return reject(signal.reason);
    const stop = source.watch(look);
    signal?.addEventListener("abort", aborted, { once: true });
    look();
  });
}
