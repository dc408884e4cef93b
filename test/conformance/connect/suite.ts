// The conformance suite of connectrpc.com: its runner, built once into .cache, and its messages, compiled from its own .proto files.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const module = "connectrpc.com/conformance";
const version = "v1.0.5";
const root = join(import.meta.dirname, "..", "..", "..");
const cache = join(root, ".cache", "connect-conformance", version);

/** What the suite consists of, as files. */
export interface Suite {
  /** The module's version, pinned. */
  readonly version: string;
  /** The runner. */
  readonly program: string;
}

/** The suite's messages as a google.protobuf.FileDescriptorSet; made by `prepareSuite`. */
export const descriptorSet: string = join(cache, "messages.binpb");

/** Builds what isn't there yet. Throws with what to do where Go is missing. */
export function prepareSuite(): Suite {
  const program = join(cache, "connectconformance");
  mkdirSync(cache, { recursive: true });
  if (!existsSync(program)) install();
  if (!existsSync(descriptorSet)) compileMessages();
  return { version, program };
}

function install(): void {
  try {
    execFileSync("go", ["version"], { stdio: "ignore" });
  } catch (cause) {
    throw new Error("the suite is built from source and needs Go 1.26 or newer: install it and run again", { cause });
  }
  const env = { ...process.env, GOBIN: cache };
  const command = ["install", "-trimpath", `${module}/cmd/connectconformance@${version}`];
  execFileSync("go", command, { env, stdio: ["ignore", "ignore", "inherit"] });
}

function compileMessages(): void {
  const json = execFileSync("go", ["mod", "download", "-json", `${module}@${version}`], { encoding: "utf8" });
  const { Dir: sources } = JSON.parse(json) as { Dir: string };
  // A copy, apart from the module's own buf configuration: that names dependencies which the messages don't have.
  const staging = join(cache, "proto");
  const folder = join("connectrpc", "conformance", "v1");
  mkdirSync(join(staging, folder), { recursive: true });
  for (const file of readdirSync(join(sources, "proto", folder))) {
    writeFileSync(join(staging, folder, file), readFileSync(join(sources, "proto", folder, file)));
  }
  const building = `${descriptorSet}.${process.pid}`;
  const command = [join(root, "node_modules", ".bin", "buf"), "build", staging, "-o", `${building}#format=binpb`];
  execFileSync(process.execPath, [...command], { cwd: cache, stdio: ["ignore", "ignore", "inherit"] });
  renameSync(building, descriptorSet);
}
