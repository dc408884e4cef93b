import type { ControlPlane } from "./control-plane.ts";
import { createControlPlane } from "./create-control-plane.ts";
import { type ControlPlaneSettings, readSettings } from "./settings.ts";

let settings: ControlPlaneSettings | undefined;
let shared: ControlPlane | undefined;

/**
 * The control plane of this process, as its environment names it: the same object until it is closed.
 *
 * Rejects with RpcError UNAVAILABLE where the environment is wrong; the next call reads it again. Once read, WEFT_TOKEN is
 * removed from `process.env`, so that no child inherits what lets it join as this process: children that are to join
 * (`cluster` workers too) get WEFT_TOKEN_FILE, whose file's mode says who may.
 */
export async function processControlPlane(): Promise<ControlPlane> {
  if (shared !== undefined) return shared;
  settings ??= readSettings(process.env);
  delete process.env["WEFT_TOKEN"];
  const controlPlane = createControlPlane(settings);
  const close = controlPlane.close.bind(controlPlane);
  controlPlane.close = () => {
    if (shared === controlPlane) shared = undefined;
    return close();
  };
  shared = controlPlane;
  return controlPlane;
}
