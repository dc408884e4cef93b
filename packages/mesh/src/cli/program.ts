import { Command, CommanderError } from "commander";
import { version } from "../version.ts";
import { agentCommand } from "./agent.ts";
import { applyCommand } from "./apply.ts";
import { deleteCommand } from "./delete.ts";
import { demoCommand } from "./demo.ts";
import { demoLoadCommand } from "./demo-load.ts";
import { echoCommand } from "./echo.ts";
import { explainFailure } from "./explain.ts";
import { getCommand } from "./get.ts";
import { interfacesCommand } from "./interfaces.ts";
import { printable, styled } from "./output.ts";
import { runCommand } from "./run.ts";
import { statusCommand } from "./status.ts";
import { tokenCommand } from "./token.ts";
import { upCommand } from "./up.ts";

/** The `weft` program: every command. What a command needs beyond parsing is imported when it runs. */
export function program(): Command {
  const weft = new Command("weft")
    .description("a proxyless service mesh for gRPC")
    .version(version, "-V, --version", "print the version")
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .showHelpAfterError("(weft <command> --help explains)");
  for (const command of [
    upCommand(),
    applyCommand(),
    getCommand(),
    deleteCommand(),
    statusCommand(),
    interfacesCommand(),
  ]) {
    weft.addCommand(command);
  }
  for (const command of [tokenCommand(), runCommand(), agentCommand(), echoCommand(), demoCommand()]) {
    weft.addCommand(command);
  }
  weft.addCommand(demoLoadCommand(), { hidden: true });
  for (const command of commandsOf(weft)) command.exitOverride();
  return weft;
}

function commandsOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsOf)];
}

/** Runs the command line; prints what failed and sets the exit code. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  outliveReaders();
  try {
    await program().parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    const failure = explainFailure(error);
    if (failure === undefined) throw error;
    process.stderr.write(`${styled("red", "error:", process.stderr)} ${printable(failure.message)}\n`);
    if (failure.hint !== undefined) process.stderr.write(`hint: ${printable(failure.hint)}\n`);
    process.exitCode = failure.exitCode;
  }
}

/** `weft status | head -1`: who has read enough closes the pipe, and that is no failure of ours. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  }
}
