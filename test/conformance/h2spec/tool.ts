import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";

const module = "github.com/summerwind/h2spec";
const cache = join(import.meta.dirname, "..", "..", "..", ".cache", "h2spec");

export interface Tool {
  readonly program: string;
  /** The version that go.mod pins; what the program prints of itself is older. */
  readonly version: string;
}

/** The h2spec that go.mod and go.sum pin, built once per content of these into .cache. Throws with what to do when Go is missing. */
export function h2spec(): Tool {
  const [goMod = "", goSum = ""] = ["go.mod", "go.sum"].map((name) =>
    readFileSync(join(import.meta.dirname, name), "utf8"),
  );
  const version = new RegExp(`${module} (\\S+)`).exec(goMod)?.[1];
  if (version === undefined) throw new Error(`go.mod does not name ${module}`);
  const hash = createHash("sha256").update(`${goMod}\n${goSum}\n${process.arch}`).digest("hex").slice(0, 16);
  const program = join(cache, `h2spec-${hash}`);
  if (!existsSync(program)) {
    mkdirSync(cache, { recursive: true });
    const building = `${program}.${process.pid}`;
    build(building);
    renameSync(building, program);
  }
  return { program, version };
}

function build(program: string): void {
  try {
    execFileSync("go", ["version"], { stdio: "ignore" });
  } catch (cause) {
    throw new Error("h2spec is built from source and needs Go 1.26 or newer: install it and run again", { cause });
  }
  const command = ["build", "-mod=readonly", "-trimpath", "-o", program, `${module}/cmd/h2spec`];
  execFileSync("go", command, { cwd: import.meta.dirname, stdio: ["ignore", "ignore", "inherit"] });
}
