import { Command } from "commander";
import { type ApplicationFlags, applicationOptions, startApplicationAgent } from "./application.ts";
import { CommandFailure } from "./failure.ts";
import { outputOption } from "./options.ts";
import { type OutputFormat, printReady } from "./output.ts";
import { exitCodeOf, untilStopped } from "./shutdown.ts";

interface AgentFlags extends ApplicationFlags {
  readonly home: string;
  readonly output: OutputFormat;
}

export function agentCommand(): Command {
  const command = new Command("agent")
    .description("the agent alone, beside an application that something else starts")
    .requiredOption("--home <dir>", "where it keeps bootstrap.json, certificates and the socket; made 0700")
    .addOption(outputOption(["text", "json"]))
    .addHelpText("after", "\nStart the application with GRPC_XDS_BOOTSTRAP=<home>/bootstrap.json, as the same user.")
    .action(async (flags: AgentFlags) => {
      const interrupt = new AbortController();
      const stopped = untilStopped();
      stopped.then((signal) =>
        interrupt.abort(new CommandFailure("stopped before it was ready", { exitCode: exitCodeOf(signal) })),
      );
      const agent = await startApplicationAgent(flags, flags.home, interrupt.signal);
      printReady(flags.output, { ready: true, bootstrap: agent.bootstrapPath, pid: process.pid }, [
        `export GRPC_XDS_BOOTSTRAP=${agent.bootstrapPath}`,
      ]);
      await stopped;
      await agent.drain(3000);
      await agent.close();
      process.exit();
    });
  for (const option of applicationOptions()) command.addOption(option);
  return command;
}
