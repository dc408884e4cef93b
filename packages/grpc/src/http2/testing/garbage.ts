import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as (options: { readonly type: "major" | "minor" }) => void;

/** Collects garbage, `minor`: of the young generation only. More than once: what is freed late counts until then. */
export function collectGarbage(type: "major" | "minor" = "major"): void {
  for (let i = 0; i < 3; i++) gc({ type });
}
