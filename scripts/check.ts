// `npm run check`: types, lint and format, import directions, reference pages. `--write` renews what is generated from code.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { biomeConfig } from "./biome-config.ts";

const root = join(import.meta.dirname, "..");
const write = process.argv.includes("--write");
let failed = false;

function step(title: string, passed: boolean, hint = ""): void {
  console.log(`${passed ? "ok  " : "FAIL"} ${title}${passed || hint === "" ? "" : `: ${hint}`}`);
  failed ||= !passed;
}

function run(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { cwd: root, stdio: "inherit" }).status === 0;
}

/** A file that is made from code: written with --write, compared without. */
function generated(path: string, text: string): void {
  const file = join(root, path);
  if (write) writeFileSync(file, text);
  const current = existsSync(file) ? readFileSync(file, "utf8") : "";
  step(`${path} is up to date`, current === text, "run npm run check -- --write");
}

generated("biome.json", `${JSON.stringify(biomeConfig(), null, 2)}\n`);
await import("./generate.ts");
mkdirSync(join(root, "docs", "reference"), { recursive: true });
// A process of its own: only with the condition do the packages resolve to their sources.
const pages = execFileSync("node", ["--conditions=@weft/source", join(import.meta.dirname, "reference.ts")]);
for (const [path, text] of Object.entries<string>(JSON.parse(pages.toString()))) generated(path, text);
step("types", run("tsc", "-b"));
step("lint, format and import directions", run("biome", "check", ...(write ? ["--write"] : []), "."));
process.exitCode = failed ? 1 : 0;
