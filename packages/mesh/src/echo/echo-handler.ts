import { hostname } from "node:os";
import type { ServerContext } from "@weft/grpc";
import type { EchoRequest, EchoResponse } from "@weft/xds-api/echo/echo";

/** What an echo instance says about itself in every answer. */
export interface EchoInstance {
  readonly version: string;
  readonly cluster: string;
  readonly namespace: string;
  /** Default: the machine's name and the process id, since instances share machines here. */
  readonly hostname: string;
}

/** The name under which instances that share a machine can be told apart. */
export function instanceHostname(): string {
  return `${hostname()}-${process.pid}`;
}

/**
 * The lines of one answer, `Field=value` each, in the order and with the names of Istio's echo server, so that what
 * parses its output parses ours.
 */
export function echoResponse(
  request: EchoRequest,
  context: ServerContext,
  instance: EchoInstance,
  port: number,
): EchoResponse {
  const lines = [`Host=${context.authority}`];
  for (const [name, value] of context.metadata.entries()) {
    if (typeof value === "string") lines.push(`RequestHeader=${name}:${value}`);
  }
  lines.push("StatusCode=200", `ServiceVersion=${instance.version}`, `ServicePort=${port}`);
  if (instance.cluster !== "") lines.push(`Cluster=${instance.cluster}`);
  if (instance.namespace !== "") lines.push(`Namespace=${instance.namespace}`);
  lines.push(
    `IP=${hostOf(context.peer.address)}`,
    "Proto=GRPC",
    `Echo=${request.message}`,
    `Hostname=${instance.hostname}`,
  );
  return { message: `${lines.join("\n")}\n` };
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}
