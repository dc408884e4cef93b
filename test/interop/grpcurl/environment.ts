import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

const version = "v1.9.4";
const module = `github.com/fullstorydev/grpcurl/cmd/grpcurl@${version}`;
const home = join(import.meta.dirname, "..", "..", "..", ".cache", "interop-grpcurl", version);

/** The path of grpcurl, built once per version. */
export function grpcurlProgram(): string {
  const program = join(home, process.platform === "win32" ? "grpcurl.exe" : "grpcurl");
  if (existsSync(program)) return program;
  try {
    execFileSync("go", ["version"], { stdio: "ignore" });
  } catch (cause) {
    throw new Error("the grpcurl interop needs Go (1.24 or newer); install it from go.dev/dl and run again", { cause });
  }
  mkdirSync(home, { recursive: true });
  execFileSync("go", ["install", module], { cwd: home, env: { ...process.env, GOBIN: home }, stdio: "inherit" });
  return program;
}
