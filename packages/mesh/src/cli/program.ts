import { Command, CommanderError } from "commander";
import { AdminError } from "../admin/client.ts";
import { version } from "../version.ts";
import { adminFailure } from "./admin-options.ts";
import { agentCommand } from "./agent.ts";
import { applyCommand } from "./apply.ts";
import { deleteCommand } from "./delete.ts";
import { demoCommand } from "./demo.ts";
import { demoLoadCommand } from "./demo-load.ts";
import { echoCommand } from "./echo.ts";
import { CommandFailure } from "./failure.ts";
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
  for (const command of [weft, ...weft.commands]) command.exitOverride();
  return weft;
}

/** Runs the command line; prints what failed and sets the exit code. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  try {
    await program().parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    const failure = error instanceof AdminError ? adminFailure(error) : error;
    if (!(failure instanceof CommandFailure)) throw error;
    process.stderr.write(`${styled("red", "error:")} ${printableLines(failure.message)}\n`);
    if (failure.hint !== undefined) process.stderr.write(`hint: ${printableLines(failure.hint)}\n`);
    process.exitCode = failure.exitCode;
  }
}

function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}
