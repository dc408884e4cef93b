import { Command } from "commander";
import { untilStopped } from "./shutdown.ts";

export function demoCommand(): Command {
  return new Command("demo")
    .description("the proxyless gRPC guides' walk-through on this machine: explained, shown and checked, on free ports")
    .option("--keep", "leave it running after the last step and print what to try next", false)
    .action(async (flags: { readonly keep: boolean }) => {
      const { runDemo } = await import("../demo/demo.ts");
      const interrupt = new AbortController();
      void untilStopped().then(() => interrupt.abort());
      process.exitCode = await runDemo({ keep: flags.keep, signal: interrupt.signal });
      // The signal handlers above would keep nothing alive, but say it plainly: the demo is over.
      process.exit();
    });
}
