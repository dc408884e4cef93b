import { Command, Option } from "commander";
import type { WishedAddress } from "../echo/echo.ts";
import { outputOption } from "./options.ts";
import { type OutputFormat, printReady } from "./output.ts";
import { parsePortList } from "./ports.ts";
import { exitCodeOf, untilStopped } from "./shutdown.ts";

interface EchoFlags {
  readonly grpc: readonly string[];
  readonly xdsGrpcServer: readonly string[];
  readonly bindIp: string;
  readonly version: string;
  readonly cluster: string;
  readonly output: OutputFormat;
}

export function echoCommand(): Command {
  return new Command("echo")
    .description("run the echo application of the proxyless gRPC guides")
    .addOption(portsOption("--grpc <port...>", "plaintext gRPC ports, outside the mesh: where ForwardEcho is called"))
    .addOption(portsOption("--xds-grpc-server <port...>", "ports whose listener comes from the control plane"))
    .option("--bind-ip <ip>", "address to bind", "127.0.0.1")
    .option("--version <version>", "the version that answers carry", "")
    .option("--cluster <name>", "the cluster that answers carry", "")
    .addOption(outputOption(["text", "json"]))
    .addHelpText(
      "after",
      `
A port may be "auto" (any free one) or "<port>?" (that one if it is free, else any). With neither --grpc nor
--xds-grpc-server it serves the guides' 17171? in plaintext and 17070? through the mesh.

How it joins the mesh is taken from the environment: WEFT_CONTROL_PLANE, WEFT_TOKEN or WEFT_TOKEN_FILE, WEFT_LABELS;
or GRPC_XDS_BOOTSTRAP, as \`weft run\` sets it.`,
    )
    .action(async (flags: EchoFlags) => await runEcho(flags));
}

function portsOption(flags: string, description: string): Option {
  return new Option(flags, description).default([], "none");
}

async function runEcho(flags: EchoFlags): Promise<void> {
  const none = flags.grpc.length === 0 && flags.xdsGrpcServer.length === 0;
  const address = (port: number): string =>
    `${flags.bindIp.includes(":") ? `[${flags.bindIp}]` : flags.bindIp}:${port}`;
  const addresses = (ports: readonly string[]): WishedAddress[] =>
    parsePortList(ports).map(({ port, orAny }) => ({ address: address(port), orElse: orAny ? address(0) : undefined }));
  const { startEcho } = await import("../echo/echo.ts");
  const { instanceHostname } = await import("../echo/echo-handler.ts");
  const stopped = untilStopped();
  const starting = startEcho({
    instance: { version: flags.version, cluster: flags.cluster, namespace: "", hostname: instanceHostname() },
    grpc: addresses(none ? ["17171?"] : flags.grpc),
    xds: addresses(none ? ["17070?"] : flags.xdsGrpcServer),
  });
  // It waits for the control plane for as long as that takes; there is nothing to close before.
  const echo = await Promise.race([starting, stopped]);
  if (typeof echo === "string") process.exit(exitCodeOf(echo));
  printReady(flags.output, { ready: true, grpc: echo.grpcPorts, xds: echo.xdsPorts, pid: process.pid }, [
    `echo ${flags.version} serves proto.EchoTestService`,
    ...echo.grpcPorts.map((port) => `  in plaintext on ${address(port)}`),
    ...echo.xdsPorts.map((port) => `  through the mesh on ${address(port)}`),
  ]);
  await stopped;
  await echo.close(10_000);
}
