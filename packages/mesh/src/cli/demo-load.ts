import { Command } from "commander";
import { printReady } from "./output.ts";
import { untilStopped } from "./shutdown.ts";

/** Hidden: the steady load that the walk-through runs as a process of its own, since it joins the mesh as one. */
export function demoLoadCommand(): Command {
  return new Command("demo-load")
    .description("steady Echo calls until SIGTERM, then a report as JSON")
    .argument("<target>")
    .option("--concurrency <n>", "open calls", Number, 8)
    .option("-o, --output <format>", "output format", "json")
    .action(async (target: string, flags: { readonly concurrency: number }) => {
      const { steadyLoad } = await import("../demo/load.ts");
      const stop = new AbortController();
      const stopped = untilStopped();
      const report = steadyLoad(target, flags.concurrency, stop.signal);
      printReady("json", { ready: true, pid: process.pid }, []);
      await stopped;
      stop.abort();
      process.stdout.write(`${JSON.stringify(await report)}\n`);
    });
}
