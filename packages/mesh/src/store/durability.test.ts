import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "@weft/grpc/platform";
import { expect, test } from "vitest";
import { openStore } from "./store.ts";

const writer = fileURLToPath(new URL("./testing/writer.ts", import.meta.url));

test("what was acknowledged survives kill -9, whole batches only, and the lock goes with the process", async () => {
  const parent = mkdtempSync(join(tmpdir(), "weft-durability-"));
  const directory = join(parent, "data");
  try {
    let acknowledged = -1;
    for (let round = 0; round < 2; round++) {
      const child = spawn(process.execPath, ["--conditions=@weft/source", writer, directory], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let lines = 0;
      let output = "";
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        lines = output.split("\n").length - 1;
        if (lines >= 40 * (round + 1)) child.kill("SIGKILL");
      });
      const [, signal] = await once(child, "close");
      expect(signal).toBe("SIGKILL");
      acknowledged = Math.max(acknowledged, Number(output.trimEnd().split("\n").at(-1)));
    }
    const reopened = openStore({ directory, clock: systemClock });
    if (reopened.kind === "refused") throw new Error(reopened.problem.message);
    using store = reopened.store;
    const names = new Set(store.resources.list().map((resource) => resource.name));
    const batches = Array.from({ length: acknowledged + 1 }, (_, batch) => batch);
    expect(batches.filter((batch) => !names.has(`left-${batch}`) || !names.has(`right-${batch}`))).toEqual([]);
    expect(names.size % 2).toBe(0);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
});

test("a second process is refused while the first one lives, naming its pid", async () => {
  const parent = mkdtempSync(join(tmpdir(), "weft-durability-"));
  const directory = join(parent, "data");
  const child = spawn(process.execPath, ["--conditions=@weft/source", writer, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(child.stdout, "data");
    child.stdout.resume();
    const second = openStore({ directory, clock: systemClock });
    expect(second).toMatchObject({ kind: "refused", problem: { kind: "locked" } });
    expect(second.kind === "refused" && second.problem.message).toContain(`process ${child.pid}`);
  } finally {
    child.kill("SIGKILL");
    await once(child, "close");
    rmSync(parent, { recursive: true, force: true });
  }
});
