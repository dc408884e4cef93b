import { Command, InvalidArgumentError, Option } from "commander";
import type { ControlPlane, ControlPlaneOptions } from "../control-plane.ts";
import { printDiagnostics } from "./admin-options.ts";
import { CommandFailure } from "./failure.ts";
import { dataOption, outputOption } from "./options.ts";
import { type OutputFormat, printReady } from "./output.ts";
import { portHolder } from "./port-holder.ts";
import { untilStopped } from "./shutdown.ts";

interface UpFlags {
  readonly dir: readonly string[];
  readonly data: string;
  readonly host: string;
  readonly tlsPort: number;
  readonly xdsPort?: number;
  readonly adminPort: number;
  readonly trustDomain: string;
  readonly output: OutputFormat;
}

export function upCommand(): Command {
  return new Command("up")
    .description("run the control plane")
    .addOption(
      new Option("--dir <dir>", "a directory of YAML, read and watched (repeatable)")
        .default([], "none")
        .argParser((dir: string, previous: readonly string[]) => [...previous, dir]),
    )
    .addOption(dataOption())
    .option("--host <ip>", "address of the gRPC ports", "127.0.0.1")
    .addOption(
      new Option("--tls-port <port>", "xDS, certificates and registration, with TLS")
        .argParser(parsePort)
        .default(15012),
    )
    .addOption(
      new Option("--xds-port <port>", "plaintext xDS; closed unless given (Istio's is 15010)").argParser(parsePort),
    )
    .addOption(new Option("--admin-port <port>", "the admin API, on loopback").argParser(parsePort).default(8080))
    .option("--trust-domain <name>", "the trust domain of every identity", "cluster.local")
    .addOption(outputOption(["text", "json"]))
    .addHelpText("after", '\nA port may be "auto": any free one.')
    .action(async (flags: UpFlags) => await up(flags));
}

function parsePort(text: string): number {
  if (text === "auto") return 0;
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65535) throw new InvalidArgumentError('use a number, or "auto"');
  return port;
}

async function up(flags: UpFlags): Promise<void> {
  const { startControlPlane } = await import("../control-plane.ts");
  const { openStore } = await import("../store/store.ts");
  const { databaseDiagnostic } = await import("../store/database-diagnostic.ts");
  const { systemClock } = await import("@weft/grpc/platform");
  const opened = openStore({ directory: flags.data, clock: systemClock });
  if (opened.kind === "refused") {
    const { code, message, hint } = databaseDiagnostic(opened.problem);
    throw new CommandFailure(`${code}: ${message}`, hint === undefined ? {} : { hint });
  }
  using store = opened.store;
  const controlPlane = await start(startControlPlane, {
    store,
    clock: systemClock,
    directories: flags.dir,
    dataDirectory: flags.data,
    trustDomain: flags.trustDomain,
    host: flags.host,
    tlsPort: flags.tlsPort,
    xdsPort: flags.xdsPort,
    adminPort: flags.adminPort,
    onError: (error) =>
      process.stderr.write(`weft: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`),
  });
  printDiagnostics(controlPlane.sources.diagnostics);
  controlPlane.sources.watch(({ diagnostics }) => printDiagnostics(diagnostics));
  const { tlsPort, xdsPort, adminUrl } = controlPlane;
  printReady(flags.output, { ready: true, tlsPort, xdsPort, adminUrl, data: flags.data, pid: process.pid }, [
    "the control plane is up",
    `  xDS, certificates, registration (TLS)  ${flags.host}:${tlsPort}`,
    ...(xdsPort === undefined ? [] : [`  xDS in plaintext                       ${flags.host}:${xdsPort}`]),
    `  admin API                              ${adminUrl}`,
    `  state                                  ${flags.data}`,
    "next: weft token create --namespace default --service-account <name>",
  ]);
  await untilStopped();
  await controlPlane.close();
}

async function start(
  startControlPlane: (options: ControlPlaneOptions) => Promise<ControlPlane>,
  options: ControlPlaneOptions,
): Promise<ControlPlane> {
  try {
    return await startControlPlane(options);
  } catch (error) {
    const { code, port } = error as { readonly code?: unknown; readonly port?: unknown };
    if (code !== "EADDRINUSE" || typeof port !== "number") throw error;
    const holder = portHolder(port);
    throw new CommandFailure(`port ${port} is taken${holder === undefined ? "" : ` by ${holder}`}`, {
      cause: error,
      hint: 'choose another with --tls-port, --xds-port or --admin-port, or "auto" for any',
    });
  }
}
