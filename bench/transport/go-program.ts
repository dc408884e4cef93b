import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const source = join(import.meta.dirname, "go");
const cache = join(import.meta.dirname, "..", "..", ".cache", "bench");

/** The Go program and what it is made of, or why there is none. */
export type GoProgram =
  | { readonly kind: "built"; readonly path: string; readonly versions: string }
  | { readonly kind: "missing"; readonly why: string };

/** Builds bench/transport/go into .cache, once per state of its sources and of the toolchain; `buildsIfMissing`: else only looks. */
export function goProgram(buildsIfMissing: boolean): GoProgram {
  const version = goVersion();
  if (version === undefined) return { kind: "missing", why: "Go is not installed (https://go.dev/dl)" };
  const hash = createHash("sha256").update(version);
  for (const name of readdirSync(source).sort()) hash.update(name).update(readFileSync(join(source, name)));
  const path = join(cache, `transport-${hash.digest("hex").slice(0, 16)}`);
  const grpc = /google\.golang\.org\/grpc v(\S+)/.exec(readFileSync(join(source, "go.mod"), "utf8"))?.[1];
  const built: GoProgram = { kind: "built", path, versions: `grpc-go ${grpc}, ${version}` };
  if (existsSync(path)) return built;
  if (!buildsIfMissing)
    return { kind: "missing", why: "the Go program is not built yet: a run without --quick builds it" };
  mkdirSync(cache, { recursive: true });
  const build = spawnSync("go", ["build", "-o", path, "."], { cwd: source, stdio: ["ignore", "inherit", "inherit"] });
  return build.status === 0 ? built : { kind: "missing", why: "go build failed" };
}

function goVersion(): string | undefined {
  try {
    return execFileSync("go", ["env", "GOVERSION"], { encoding: "utf8", cwd: source }).trim();
  } catch {
    return undefined; // not installed
  }
}
