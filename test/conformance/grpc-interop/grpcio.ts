import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { pythonEnvironment } from "../../interop/python/environment.ts";
import type { Command } from "./program.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const descriptors = join(root, ".cache", "conformance-grpc-interop", "testing.binpb");

/** Our programs on grpcio, as commands that take further arguments. */
export interface GrpcioPrograms {
  readonly server: Command;
  readonly client: Command;
}

/** Makes the virtual environment that the interop tests use, once, and the messages' descriptors. Throws with what to do when python3 is missing. */
export function grpcioPrograms(): GrpcioPrograms {
  const { python } = pythonEnvironment();
  const buf = join(root, "node_modules", ".bin", "buf");
  const protos = join(import.meta.dirname, "proto");
  execFileSync(buf, ["build", protos, "--as-file-descriptor-set", "-o", descriptors], { cwd: root });
  // -B: no byte code beside the sources.
  const program = (name: string): Command => [
    "env",
    `TESTING_DESCRIPTORS=${descriptors}`,
    python,
    "-B",
    join(import.meta.dirname, "python", name),
  ];
  return { server: program("server.py"), client: program("client.py") };
}
