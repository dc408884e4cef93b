import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Command } from "commander";
import type { Agent } from "../agent/agent.ts";
import { type ApplicationFlags, applicationOptions, startApplicationAgent } from "./application.ts";
import { CommandFailure } from "./failure.ts";
import { outputOption } from "./options.ts";
import type { OutputFormat } from "./output.ts";
import { exitCodeOf, watchStopSignals } from "./shutdown.ts";

interface RunFlags extends ApplicationFlags {
  readonly output: OutputFormat;
}

/** Long enough for clients to hear of it; short enough for whoever pressed Ctrl-C. */
const drainMs = 3000;
/** For an application that is gone already there is only the control plane to be told. */
const leaveMs = 1000;

export function runCommand(): Command {
  const command = new Command("run")
    .description("run an application of any language in the mesh: with a bootstrap, certificates and a registration")
    .usage("[options] -- <command> [args...]")
    .argument("<command...>", "the application, after --")
    .passThroughOptions()
    .addOption(outputOption(["text", "json"]))
    .addHelpText(
      "after",
      `
Joins by WEFT_CONTROL_PLANE and WEFT_TOKEN (or WEFT_TOKEN_FILE); the token is not passed on. The application gets
GRPC_XDS_BOOTSTRAP and dials xds:///… targets; with --port its servers are registered. With -o json a line says when
the application has been started. The exit code is the application's.`,
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
  let stoppedBy: NodeJS.Signals | undefined;
  let stop = (signal: NodeJS.Signals): void => interrupt.abort(new Error(`stopped by ${signal}`));
  let insist = (signal: NodeJS.Signals): void => process.exit(exitCodeOf(signal));
  const unwatch = watchStopSignals(
    (signal) => {
      stoppedBy = signal;
      stop(signal);
    },
    (signal) => insist(signal),
  );
  let agent: Agent;
  try {
    agent = await startApplicationAgent(flags, undefined, interrupt.signal);
  } catch (error) {
    if (stoppedBy !== undefined) return exitCodeOf(stoppedBy);
    throw error;
  }
  try {
    if (stoppedBy !== undefined) return exitCodeOf(stoppedBy);
    const { WEFT_TOKEN: _token, WEFT_TOKEN_FILE: _file, WEFT_CONTROL_PLANE: _address, ...inherited } = process.env;
    const child = spawn(program, args, { stdio: "inherit", env: { ...inherited, ...agent.environment } });
    // The application leaves the endpoint lists first, and then is told to stop; who insists does not wait for that.
    stop = (signal) => void agent.drain(drainMs).then(() => child.kill(signal));
    insist = (signal) => child.kill(signal);
    const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    // Where it can't be started, `started` says so.
    exited.catch(() => undefined);
    await started(child, program);
    if (flags.output === "json") process.stdout.write(`${JSON.stringify({ ready: true, pid: child.pid })}\n`);
    const [code, signal] = await exited;
    // It is gone: nobody should be sent there for the grace period of a broken session.
    await agent.drain(leaveMs);
    return code ?? (signal === null ? 1 : exitCodeOf(signal));
  } finally {
    await agent.close();
    unwatch();
  }
}

async function started(child: ChildProcess, program: string): Promise<void> {
  try {
    await once(child, "spawn");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: "there is no such program",
      EACCES: "it may not be run",
    };
    // As shells have it: 127 not found, 126 found and not runnable.
    throw new CommandFailure(`cannot start ${program}: ${reasons[code ?? ""] ?? (cause as Error).message}`, {
      cause,
      exitCode: code === "ENOENT" ? 127 : 126,
    });
  }
}
