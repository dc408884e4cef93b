import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const source = join(import.meta.dirname, "go");
const cache = join(import.meta.dirname, "..", "..", "..", ".cache", "conformance-grpc-interop");

/** grpc-go's interop programs, of the version that go/go.mod pins. */
export interface GoPrograms {
  readonly version: string;
  /** The test server, on a free loopback port that it prints. */
  readonly server: string;
  /** The standard client: one case a run. */
  readonly client: string;
  /** The client of the HTTP/2 negative cases: one case a run. */
  readonly negativeClient: string;
}

/** Builds what isn't built yet into .cache, once per content of go/. Throws with what to do when Go is missing. */
export function goPrograms(): GoPrograms {
  const texts = ["go.mod", "go.sum", "server/main.go"].map((name) => readFileSync(join(source, name), "utf8"));
  const version = /google\.golang\.org\/grpc (\S+)/.exec(texts[0] ?? "")?.[1];
  if (version === undefined) throw new Error("go/go.mod does not name google.golang.org/grpc");
  const hash = createHash("sha256")
    .update(`${texts.join("\n")}\n${process.arch}`)
    .digest("hex")
    .slice(0, 16);
  const folder = join(cache, hash);
  if (!existsSync(folder)) {
    console.log(`building the interop programs of grpc-go ${version} (a minute the first time)`);
    const building = `${folder}.${process.pid}`;
    build(building);
    // Whole or not at all: another run may look for it meanwhile.
    if (existsSync(folder)) rmSync(building, { recursive: true });
    else renameSync(building, folder);
  }
  return {
    version,
    server: join(folder, "server"),
    client: join(folder, "client"),
    negativeClient: join(folder, "http2"),
  };
}

function build(folder: string): void {
  try {
    execFileSync("go", ["version"], { stdio: "ignore" });
  } catch (cause) {
    throw new Error("the peers are grpc-go's programs and need Go 1.26 or newer: install it and run again", { cause });
  }
  mkdirSync(folder, { recursive: true });
  const interop = "google.golang.org/grpc/interop";
  const packages = ["./server", `${interop}/client`, `${interop}/http2`];
  const command = ["build", "-mod=readonly", "-trimpath", "-o", `${folder}/`, ...packages];
  execFileSync("go", command, { cwd: source, stdio: ["ignore", "ignore", "inherit"] });
}
