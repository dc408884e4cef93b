// `npm run bench -- <name> [--quick] [--json]`: builds what is published (unbuilt imports triple start-up) and runs bench/<name>.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const [name, ...options] = process.argv.slice(2);
const names = readdirSync(join(root, "bench"), { withFileTypes: true }).filter((entry) => entry.isDirectory());

if (name === undefined || !existsSync(join(root, "bench", name, "main.ts"))) {
  console.error(`usage: npm run bench -- <${names.map((entry) => entry.name).join("|")}> [--quick] [--json]`);
  process.exit(2);
}
for (const step of [
  ["node", "scripts/generate.ts"],
  ["tsc", "-b", "packages/mesh"],
  ["node", "scripts/bundle.ts"],
]) {
  const [command = "", ...args] = step;
  const built = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (built.status !== 0) process.exit(2);
}
// `--quick` promises an end of the whole command, builds included.
const env = { ...process.env, BENCH_STARTED_AT_MS: String(Date.now() - performance.now()) };
const bench = spawnSync("node", [join(root, "bench", name, "main.ts"), ...options], {
  cwd: root,
  stdio: "inherit",
  env,
});
process.exit(bench.status ?? 2);
