import { isIP } from "node:net";
import { Command, InvalidArgumentError, Option } from "commander";
import type { Diagnostic } from "../model/diagnostic.ts";
import { printDiagnostics } from "./admin-options.ts";
import { DiagnosticLog } from "./diagnostic-log.ts";
import { explainFailure } from "./explain.ts";
import { diagnosticFailure } from "./failure.ts";
import { dataOption, outputOption } from "./options.ts";
import { type OutputFormat, printable, printReady } from "./output.ts";
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
    .addOption(new Option("--host <ip>", "address of the gRPC ports").argParser(parseAddress).default("127.0.0.1"))
    .addOption(
      new Option("--tls-port <port>", "xDS, certificates and registration, with TLS")
        .argParser(parsePort)
        .default(15012),
    )
    .addOption(
      new Option("--xds-port <port>", "plaintext xDS; closed unless given (Istio's is 15010)").argParser(parsePort),
    )
    .addOption(new Option("--admin-port <port>", "the admin API, on loopback").argParser(parsePort).default(8080))
    .addOption(
      new Option("--trust-domain <name>", "the trust domain of every identity")
        .argParser(parseTrustDomain)
        .default("cluster.local"),
    )
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

function parseAddress(text: string): string {
  if (isIP(text) === 0) throw new InvalidArgumentError("use an IP address of this machine, or 0.0.0.0 or :: for all");
  return text;
}

/** SPIFFE-ID §2.1. */
function parseTrustDomain(text: string): string {
  if (!/^[a-z0-9._-]{1,255}$/.test(text))
    throw new InvalidArgumentError("use lower-case letters, digits, '.', '-', '_'");
  return text;
}

async function up(flags: UpFlags): Promise<void> {
  // From the first moment on: what has been started is always closed.
  const stopped = untilStopped();
  const { startControlPlane } = await import("../control-plane.ts");
  const { openStore } = await import("../store/store.ts");
  const { databaseDiagnostic } = await import("../store/database-diagnostic.ts");
  const { systemClock } = await import("@weft/grpc/platform");
  const opened = openStore({ directory: flags.data, clock: systemClock });
  if (opened.kind === "refused") throw diagnosticFailure(databaseDiagnostic(opened.problem), undefined);
  using store = opened.store;
  await using controlPlane = await startControlPlane({
    store,
    clock: systemClock,
    directories: flags.dir,
    dataDirectory: flags.data,
    trustDomain: flags.trustDomain,
    host: flags.host,
    tlsPort: flags.tlsPort,
    xdsPort: flags.xdsPort,
    adminPort: flags.adminPort,
    onError: logError,
  });
  const log = new DiagnosticLog();
  const logNews = (report: readonly Diagnostic[]): void => {
    const { found, solved } = log.next(report);
    printDiagnostics(found);
    for (const { at, code, message } of solved) {
      process.stderr.write(`${printable(`${at.file}: solved ${code}: ${message}`)}\n`);
    }
  };
  logNews(controlPlane.sources.diagnostics);
  controlPlane.sources.watch(({ diagnostics }) => logNews(diagnostics));
  const { tlsPort, xdsPort, adminUrl, hasNewRoot } = controlPlane;
  printReady(
    flags.output,
    { ready: true, tlsPort, xdsPort, adminUrl, data: flags.data, hasNewRoot, pid: process.pid },
    [
      "the control plane is up",
      `  xDS, certificates, registration (TLS)  ${flags.host}:${tlsPort}`,
      ...(xdsPort === undefined ? [] : [`  xDS in plaintext                       ${flags.host}:${xdsPort}`]),
      `  admin API                              ${adminUrl}`,
      `  state                                  ${flags.data}`,
      ...(hasNewRoot
        ? [`  a new root was made for trust domain ${flags.trustDomain}: only tokens of this one join it`]
        : []),
      "next: weft token create --namespace default --service-account <name>",
    ],
  );
  await stopped;
}

/** What the world does is told in a line; what we did wrong with its stack. */
function logError(error: unknown): void {
  const explained = explainFailure(error);
  const text = explained?.message ?? (error instanceof Error ? error.stack : String(error)) ?? "unknown error";
  process.stderr.write(`weft: ${printable(text)}\n`);
}
