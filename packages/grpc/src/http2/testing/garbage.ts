import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { readonly type: "major" | "minor" }) => void;

let gc: Collect | undefined;

/** Collects garbage, `minor`: of the young generation only. More than once: what is freed late counts until then. */
export function collectGarbage(type: "major" | "minor" = "major"): void {
  gc ??= exposed();
  for (let i = 0; i < 3; i++) gc({ type });
}

function exposed(): Collect {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as Collect;
}
