import { styleText } from "node:util";
import { DemoMesh, echoTarget, interfaceTarget } from "./demo-mesh.ts";
import {
  BrokenPromise,
  breakAndFixMtls,
  callByInterface,
  loseControlPlane,
  type Narrator,
  splitTraffic,
  startAndCall,
} from "./steps.ts";

export interface DemoOptions {
  /** Leave the mesh running after the last step, until the signal. */
  readonly keep: boolean;
  /** Its reason is the signal that stopped the process. */
  readonly signal: AbortSignal;
}

/**
 * The guides' walk-through, each step explained, shown and checked. Returns the exit code.
 *
 * Everything it starts ends with it, also when `signal` aborts half-way.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const startedAt = performance.now();
  const narrator = terminalNarrator();
  const mesh = new DemoMesh();
  const interrupted = new Promise<"interrupted">((resolve) => {
    options.signal.addEventListener("abort", () => resolve("interrupted"), { once: true });
  });
  try {
    const walk = walkThrough(mesh, narrator);
    // When interrupted, the step under way fails because its processes end; that failure is not news.
    walk.catch(() => undefined);
    if ((await Promise.race([walk, interrupted])) === "interrupted") return 130;
    console.log(`\nAll of it held, in ${((performance.now() - startedAt) / 1000).toFixed(1)} s.`);
    if (options.keep) {
      printWhatToTry(mesh);
      await interrupted;
    }
    return 0;
  } catch (error) {
    const what = error instanceof BrokenPromise ? "The walk-through broke a promise:" : "The walk-through can't go on:";
    const why = error instanceof Error ? error.message : String(error);
    console.log(`\n${styleText("red", what, { stream: process.stdout })} ${why}`);
    return 1;
  } finally {
    await mesh.close();
  }
}

async function walkThrough(mesh: DemoMesh, narrator: Narrator): Promise<void> {
  const cast = await startAndCall(mesh, narrator);
  await splitTraffic(mesh, cast, narrator);
  await breakAndFixMtls(mesh, cast, narrator);
  await callByInterface(mesh, narrator, cast.v2);
  await loseControlPlane(mesh, narrator);
}

function terminalNarrator(): Narrator {
  let number = 0;
  const stream = process.stdout;
  return {
    step: (title) => console.log(`\n${styleText("bold", `${++number}. ${title}`, { stream })}`),
    explain: (text) => console.log(`   ${text}`),
    show: (lines) => console.log(lines.map((line) => `     ${line}`).join("\n")),
    check: (claim, holds, seen) => {
      if (!holds) throw new BrokenPromise(seen === undefined ? claim : `${claim}; seen: ${seen}`);
      console.log(`   ${styleText("green", "✓", { stream })} ${claim}`);
    },
  };
}

function printWhatToTry(mesh: DemoMesh): void {
  console.log(`
The mesh keeps running until Ctrl-C. Try, in another terminal:
  export WEFT_DATA=${mesh.data}
  npx weft status
  npx weft get virtualservice
  npx weft interfaces
  npx weft delete peerauthentication echo-mtls -n echo-grpc
Targets: ${echoTarget} and ${interfaceTarget}
The directory that the control plane watches: ${mesh.config}`);
}
