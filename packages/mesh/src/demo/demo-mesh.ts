import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, RpcError } from "@weft/grpc";
import { message } from "@weft/xds-api";
import { EchoTestServiceDefinition, ForwardEchoRequest } from "@weft/xds-api/echo/echo";
import type { LoadReport } from "./load.ts";
import { type Finished, Processes, type Running } from "./processes.ts";

/** The package's: the same way from src and from dist. */
export const documents = join(import.meta.dirname, "..", "..", "documents");
export const namespace = "echo-grpc";
export const echoTarget = "xds:///echo.echo-grpc.svc.cluster.local:7070";
export const interfaceTarget = "xds:///proto.EchoTestService";

/** One echo process that has joined. */
export interface EchoProcess extends Running {
  /** Its plaintext port, where ForwardEcho is called. */
  readonly grpcPort: number;
  readonly xdsPort: number;
}

/**
 * A mesh for one walk-through or test: its own directories, its own control plane and workloads, each a process, on free ports.
 *
 * `close()` ends every process and removes the directories.
 */
export class DemoMesh {
  readonly home = mkdtempSync(join(tmpdir(), "weft-demo-"));
  readonly data = join(this.home, "data");
  /** What `weft up` reads. */
  readonly config = join(this.home, "config");
  readonly processes = new Processes();
  #controlPlane: Running | undefined;
  #tlsPort = 0;
  readonly #tokens = new Map<string, string>();

  readonly #removeHome = (): void => rmSync(this.home, { recursive: true, force: true });

  constructor() {
    process.on("exit", this.#removeHome);
    mkdirSync(this.config);
    cpSync(join(documents, "0-echo-service.yaml"), join(this.config, "0-echo-service.yaml"));
  }

  get controlPlane(): Running {
    if (this.#controlPlane === undefined) throw new Error("the control plane has not been started");
    return this.#controlPlane;
  }

  /** host:port of the control plane's TLS port. */
  get controlPlaneAddress(): string {
    return `127.0.0.1:${this.#tlsPort}`;
  }

  /** Starts the control plane, the second time on the port of the first. */
  async startControlPlane(...flags: string[]): Promise<Running> {
    const tlsPort = this.#tlsPort === 0 ? "auto" : String(this.#tlsPort);
    const args = [
      "up",
      "--dir",
      this.config,
      "--data",
      this.data,
      "--tls-port",
      tlsPort,
      "--admin-port",
      "auto",
      ...flags,
    ];
    this.#controlPlane = await this.processes.start(args, { name: "control plane" });
    this.#tlsPort = Number(this.#controlPlane.ready["tlsPort"]);
    return this.#controlPlane;
  }

  /** Runs a command of the CLI against this mesh's control plane. */
  async weft(...args: string[]): Promise<Finished> {
    return await this.processes.run([...args, "--data", this.data]);
  }

  /** The same for commands that must succeed; what they printed. */
  async weftOk(...args: string[]): Promise<string> {
    const finished = await this.weft(...args);
    if (finished.code !== 0) throw new Error(`weft ${args.join(" ")} failed:\n${finished.stderr}${finished.stdout}`);
    return finished.stdout;
  }

  /** The environment with which a process joins as `serviceAccount`; its token gives it `labels` (`k=v,k=v`). */
  async joinEnvironment(serviceAccount: string, labels = ""): Promise<Record<string, string>> {
    const key = `${serviceAccount} ${labels}`;
    let token = this.#tokens.get(key);
    if (token === undefined) {
      const args = ["token", "create", "--namespace", namespace, "--service-account", serviceAccount];
      token = (await this.weftOk(...args, ...(labels === "" ? [] : ["--label", labels]))).trim();
      this.#tokens.set(key, token);
    }
    return { WEFT_CONTROL_PLANE: this.controlPlaneAddress, WEFT_TOKEN: token };
  }

  /** Starts an echo process of `version`, on free ports, as service account `echo-<version>`. */
  async joinEcho(version: string): Promise<EchoProcess> {
    const env = await this.joinEnvironment(`echo-${version}`, `app=echo,version=${version}`);
    const args = ["echo", "--version", version, "--grpc", "17171?", "--xds-grpc-server", "17070?"];
    const running = await this.processes.start(args, { name: `echo ${version}`, env });
    const [grpcPort = 0] = running.ready["grpc"] as number[];
    const [xdsPort = 0] = running.ready["xds"] as number[];
    return { ...running, grpcPort, xdsPort };
  }

  /** Starts steady calls to `target` as a process of its own, as service account `load`. */
  async startLoad(target: string): Promise<{ stop(): Promise<LoadReport> }> {
    const env = await this.joinEnvironment("load");
    const running = await this.processes.start(["demo-load", target], { name: "load", env });
    return {
      stop: async () => {
        await running.stop();
        return JSON.parse(running.output()) as LoadReport;
      },
    };
  }

  /** Applies documents of the walk-through and waits until every client runs what follows from them. */
  async apply(...names: string[]): Promise<string> {
    return await this.weftOk("apply", "--wait", ...names.flatMap((name) => ["-f", join(documents, name)]));
  }

  async close(): Promise<void> {
    await this.processes.close();
    this.#removeHome();
    process.off("exit", this.#removeHome);
  }
}

/**
 * What the guides do with grpcurl: ForwardEcho on an instance's plaintext port; its output elements.
 *
 * With `qps` the calls are spread; without, all of a small batch may be answered over whichever connection stood first.
 */
export async function forwardEcho(from: EchoProcess, url: string, count = 0, qps = 0): Promise<readonly string[]> {
  await using client = createClient(EchoTestServiceDefinition, `127.0.0.1:${from.grpcPort}`);
  const request = message(ForwardEchoRequest, { url, count, qps, timeoutMicros: 30_000_000n });
  const reply = await client.forwardEcho(request, { timeoutMs: 40_000, waitForReady: true });
  return reply.output;
}

/** The error that ForwardEcho fails with, or undefined where it doesn't. */
export async function forwardEchoError(from: EchoProcess, url: string): Promise<RpcError | undefined> {
  try {
    await forwardEcho(from, url);
    return undefined;
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
}
