import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Option } from "commander";
import type { Agent, ApplicationPort } from "../agent/agent.ts";
import { CommandFailure } from "./failure.ts";
import { collectLabels } from "./options.ts";

/** What `weft run` and `weft agent` are told of the application. */
export interface ApplicationFlags {
  readonly label?: Readonly<Record<string, string>>;
  readonly port?: readonly ApplicationPort[];
  readonly interface?: readonly string[];
}

export function applicationOptions(): Option[] {
  return [
    new Option("--label <k=v>", "labels, within what the token allows (repeatable)").argParser(collectLabels),
    new Option("--port <name=number>", "a port that it will listen on (repeatable)").argParser(collectPorts),
    new Option("--interface <name...>", "interfaces that it serves on those ports, e.g. greet.v1.Greeter"),
  ];
}

function collectPorts(text: string, previous: readonly ApplicationPort[] = []): ApplicationPort[] {
  const [, name, digits] = /^(?:([a-z0-9-]{1,63})=)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port === 0 || port > 65535) {
    throw new CommandFailure(`"${text}" is not a port`, { hint: "write name=number, e.g. grpc=50051", exitCode: 2 });
  }
  return [...previous, { name: name ?? "grpc", port, interfaces: [] }];
}

/** Starts the agent of one application, as the environment and the flags say. */
export async function startApplicationAgent(
  flags: ApplicationFlags,
  home: string | undefined,
  signal: AbortSignal,
): Promise<Agent> {
  // The agent joins by itself: a bootstrap in its environment is somebody else's.
  delete process.env["GRPC_XDS_BOOTSTRAP"];
  delete process.env["GRPC_XDS_BOOTSTRAP_CONFIG"];
  delete process.env["WEFT_REGISTRATION"];
  if (flags.label !== undefined) {
    process.env["WEFT_LABELS"] = Object.entries(flags.label)
      .map((pair) => pair.join("="))
      .join(",");
  }
  if (!process.env["WEFT_CONTROL_PLANE"]) {
    throw new CommandFailure("WEFT_CONTROL_PLANE is not set", {
      hint: "WEFT_CONTROL_PLANE=host:15012 WEFT_TOKEN=$(weft token create …) weft run -- CMD",
      exitCode: 2,
    });
  }
  const { startAgent } = await import("../agent/agent.ts");
  const { processControlPlane, RpcError } = await import("@weft/grpc/platform");
  try {
    const controlPlane = await processControlPlane();
    const stopWarning = controlPlane.watchStatus(() => {
      const { problem } = controlPlane.status();
      if (problem !== undefined) process.stderr.write(`weft: ${problem}\n`);
    });
    const agent = await startAgent({
      controlPlane,
      home: home ?? mkdtempSync(join(tmpdir(), "weft-agent-")),
      ports: (flags.port ?? []).map((port) => ({ ...port, interfaces: flags.interface ?? [] })),
      signal,
      onProblem: (message) => process.stderr.write(`weft: ${message}\n`),
    });
    stopWarning();
    return {
      ...agent,
      close: async () => {
        await agent.close();
        await controlPlane.close();
      },
    };
  } catch (error) {
    if (error instanceof RpcError) throw new CommandFailure(error.details, { cause: error });
    throw error;
  }
}
