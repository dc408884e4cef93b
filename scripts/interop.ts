// `npm run interop -- <language>`: the walk-through driven by that language's own gRPC client and server.
// Runs test/interop/<language>/*.test.ts; what the language needs is installed into .cache by its setup.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const folder = join(root, "test", "interop");
const language = process.argv[2];

if (language === undefined || !existsSync(join(folder, language))) {
  const languages = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  console.error(`usage: npm run interop -- <${languages.map((entry) => entry.name).join("|")}>`);
  process.exit(2);
}
const config = join(folder, "vitest.config.ts");
const run = spawnSync("vitest", ["run", "--config", config, "--root", root, language], { cwd: root, stdio: "inherit" });
process.exit(run.status ?? 1);
