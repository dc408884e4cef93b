import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..", "..");
const home = join(root, ".cache", "interop-python");

export interface PythonEnvironment {
  readonly python: string;
  /** The descriptor set of proto/echo, for the programs' messages. */
  readonly descriptors: string;
}

function run(command: string, ...args: string[]): void {
  const env = { ...process.env, PATH: `${join(root, "node_modules", ".bin")}:${process.env["PATH"]}` };
  execFileSync(command, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"], env });
}

function requirePython(): void {
  for (const [args, what] of [
    [["--version"], "python3 (3.9 or newer)"],
    [["-m", "venv", "--help"], "python3's venv module (Debian: python3-venv)"],
    [["-m", "ensurepip", "--version"], "pip for python3 (Debian: python3-pip, python3-venv)"],
  ] as const) {
    try {
      execFileSync("python3", args, { stdio: "ignore" });
    } catch (cause) {
      throw new Error(`the python interop needs ${what}; install it and run again`, { cause });
    }
  }
}

/** A virtual environment with the pinned packages; made once per content of requirements.txt. */
export function pythonEnvironment(): PythonEnvironment {
  requirePython();
  const requirements = join(import.meta.dirname, "requirements.txt");
  const stamp = join(home, "requirements.sha256");
  const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  const python = join(home, "bin", "python");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== hash) {
    mkdirSync(home, { recursive: true });
    run("python3", "-m", "venv", "--clear", home);
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements);
    writeFileSync(stamp, hash);
  }
  const descriptors = join(home, "echo.binpb");
  run("buf", "build", "proto", "--path", "proto/echo", "--as-file-descriptor-set", "-o", descriptors);
  return { python, descriptors };
}
