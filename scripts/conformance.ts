// `npm run conformance -- <name> [options]`: runs test/conformance/<name>/main.ts against the sources.
// Each suite prints its counts and `N passed, N failed` last; what it needs besides Node is fetched, pinned, into .cache.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const folder = join(root, "test", "conformance");
const mainOf = (suite: string) => join(folder, suite, "main.ts");
const [name = "", ...options] = process.argv.slice(2);
const suites = readdirSync(folder).filter((suite) => existsSync(mainOf(suite)));

if (!suites.includes(name)) {
  console.error(`usage: npm run conformance -- <${suites.join("|")}>`);
  process.exit(2);
}
const go = spawnSync("go", ["version"], { encoding: "utf8" });
if (go.status !== 0) {
  console.error("the conformance suites are programs in Go, and there is no `go` on the PATH");
  console.error(
    "install Go 1.26 or newer (https://go.dev/doc/install, or your system's `golang` package) and run again",
  );
  process.exit(2);
}
await import("./generate.ts");
const run = spawnSync("node", ["--conditions=@weft/source", mainOf(name), ...options], { cwd: root, stdio: "inherit" });
process.exit(run.status ?? 1);
