import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import type { Agent, ApplicationPort } from "../agent/agent.ts";
import { CommandFailure } from "./failure.ts";
import { collectLabels } from "./options.ts";
import { printable } from "./output.ts";

/** What `weft run` and `weft agent` are told of the application. */
export interface ApplicationFlags {
  readonly namespace?: string;
  readonly serviceAccount?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly port?: readonly ApplicationPort[];
  readonly interface?: readonly string[];
}

export function applicationOptions(): Option[] {
  return [
    new Option("-n, --namespace <namespace>", "the namespace that the token must be for"),
    new Option("--service-account <name>", "the service account that the token must be for"),
    new Option("--label <k=v>", "labels beside the token's, where that allows any (repeatable)").argParser(
      collectLabels,
    ),
    new Option("--port <name=number>", "a port that it will listen on (repeatable)").argParser(collectPorts),
    new Option("--interface <name...>", "interfaces that it serves on those ports, e.g. greet.v1.Greeter"),
  ];
}

function collectPorts(text: string, previous: readonly ApplicationPort[] = []): ApplicationPort[] {
  const [, name, digits] = /^(?:([a-z0-9-]{1,63})=)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port === 0 || port > 65535) {
    throw new InvalidArgumentError("write name=number, e.g. grpc=50051");
  }
  return [...previous, { name: name ?? "grpc", port, interfaces: [] }];
}

/** Starts the agent of one application, as the environment and the flags say. Rejects with the signal's reason on abort. */
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
  const { firstMaterial, parseSpiffeId, processControlPlane } = await import("@weft/grpc/platform");
  const controlPlane = await processControlPlane();
  await using started = new AsyncDisposableStack();
  started.defer(() => controlPlane.close());
  // Waiting for a control plane that isn't there holds no socket and no timer that would keep the process.
  using _waiting = keepAlive();
  const refused = new AbortController();
  let lastProblem: string | undefined;
  const stopWarning = controlPlane.watchStatus(() => {
    const { problem, isRefused } = controlPlane.status();
    if (isRefused && problem !== undefined) refused.abort(new CommandFailure(problem));
    // Told once, not at every attempt.
    else if (problem !== undefined && problem !== lastProblem) process.stderr.write(`weft: ${printable(problem)}\n`);
    lastProblem = problem;
  });
  const identity = controlPlane.certificateProvider("default");
  if (identity === undefined) throw new CommandFailure("the control plane gives no certificate");
  const { spiffeId = "" } = await firstMaterial(identity, AbortSignal.any([signal, refused.signal]));
  stopWarning();
  checkIdentity(spiffeId, parseSpiffeId(spiffeId)?.workload, flags);
  const agent = started.use(
    asDisposable(
      await startAgent({
        controlPlane,
        home: home ?? temporaryHome(),
        ports: (flags.port ?? []).map((port) => ({ ...port, interfaces: flags.interface ?? [] })),
        signal,
        onProblem: (message) => process.stderr.write(`weft: ${printable(message)}\n`),
      }),
    ),
  );
  const running = started.move();
  return { ...agent, close: () => running.disposeAsync() };
}

function asDisposable(agent: Agent): Agent & AsyncDisposable {
  return { ...agent, [Symbol.asyncDispose]: () => agent.close() };
}

function keepAlive(): Disposable {
  const timer = setInterval(() => undefined, 2 ** 30);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** A directory that is gone with this process, however it ends, but by SIGKILL. */
function temporaryHome(): string {
  const home = mkdtempSync(join(tmpdir(), "weft-agent-"));
  process.once("exit", () => rmSync(home, { recursive: true, force: true }));
  return home;
}

function checkIdentity(
  spiffeId: string,
  workload: { readonly namespace: string; readonly serviceAccount: string } | undefined,
  { namespace, serviceAccount }: ApplicationFlags,
): void {
  if ((namespace ?? workload?.namespace) === workload?.namespace) {
    if ((serviceAccount ?? workload?.serviceAccount) === workload?.serviceAccount) return;
  }
  throw new CommandFailure(`the token is for ${spiffeId}`, {
    hint: "make one with weft token create --namespace … --service-account …",
    exitCode: 2,
  });
}
