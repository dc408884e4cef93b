import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { Command } from "commander";
import { type ApplicationFlags, applicationOptions, startApplicationAgent } from "./application.ts";
import { CommandFailure } from "./failure.ts";

interface RunFlags extends ApplicationFlags {
  readonly output?: string;
}

/** Long enough for clients to hear of it; short enough for whoever pressed Ctrl-C. */
const drainMs = 3000;

export function runCommand(): Command {
  const command = new Command("run")
    .description("run an application of any language in the mesh: with a bootstrap, certificates and a registration")
    .usage("[options] -- <command> [args...]")
    .argument("<command...>", "the application, after --")
    .passThroughOptions()
    .option("-o, --output <format>", "with json, print a line when the application is started")
    .addHelpText(
      "after",
      `
Joins by WEFT_CONTROL_PLANE and WEFT_TOKEN (or WEFT_TOKEN_FILE); the token is not passed on. The application gets
GRPC_XDS_BOOTSTRAP and dials xds:///… targets; with --port its servers are registered.`,
    )
    .action(async (argv: readonly string[], flags: RunFlags) => {
      process.exitCode = await run(argv, flags);
      process.exit();
    });
  for (const option of applicationOptions()) command.addOption(option);
  return command;
}

/** The exit code of the application, as shells give it: 128 and the signal's number where a signal ended it. */
async function run([program = "", ...args]: readonly string[], flags: RunFlags): Promise<number> {
  const interrupt = new AbortController();
  const giveUp = (): void => interrupt.abort(new Error("interrupted"));
  process.once("SIGINT", giveUp).once("SIGTERM", giveUp);
  const agent = await startApplicationAgent(flags, undefined, interrupt.signal);
  process.off("SIGINT", giveUp).off("SIGTERM", giveUp);

  const { WEFT_TOKEN: _token, WEFT_TOKEN_FILE: _file, WEFT_CONTROL_PLANE: _address, ...inherited } = process.env;
  const child = spawn(program, args, { stdio: "inherit", env: { ...inherited, ...agent.environment } });
  // The application leaves the endpoint lists first, and then is told to stop.
  let isStopping = false;
  const forward = (signal: NodeJS.Signals): void => {
    if (isStopping) return;
    isStopping = true;
    void agent.drain(drainMs).then(() => child.kill(signal));
  };
  process.on("SIGINT", forward).on("SIGTERM", forward);
  try {
    await once(child, "spawn");
    if (flags.output === "json") process.stdout.write(`${JSON.stringify({ ready: true, pid: child.pid })}\n`);
    const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  } catch (cause) {
    throw new CommandFailure(`cannot start ${program}: ${(cause as Error).message}`, { cause, exitCode: 127 });
  } finally {
    await agent.close();
  }
}
