// The HTTP/2 negative cases: a server that misbehaves as the case wants, and a client that must bear it.
import { join } from "node:path";
import type { GoPrograms } from "./go-programs.ts";
import { startMisbehavingServer } from "./misbehaving-server.ts";
import { behaviours, type NegativeCase } from "./negative-behaviours.ts";
import type { Result } from "./pairing.ts";
import { type Command, nodeCommand, runProgram } from "./program.ts";

export const negativeNames = Object.keys(behaviours) as NegativeCase[];

/** Our clients; grpc-go's says whether the server misbehaves as it should. */
export type NegativeClient = "promise" | "facade" | "grpc-go";

const limitMs = 15_000;

/** Runs every negative case, each with a server of its own; both sides have to be content. */
export async function* playNegative(client: NegativeClient, go: GoPrograms): AsyncGenerator<Result, void, void> {
  for (const name of negativeNames) {
    await using server = await startMisbehavingServer(name);
    const { succeeded, stdout, complaint } = await runProgram(commandOf(client, name, server.port, go), limitMs);
    const clientError = client === "grpc-go" ? goError(name, succeeded, complaint) : nodeError(name, stdout, complaint);
    // The last frames of the client may still be on their way.
    await server.idle();
    yield { name, error: clientError ?? server.complaints()[0] };
  }
}

function commandOf(client: NegativeClient, name: NegativeCase, port: number, go: GoPrograms): Command {
  if (client !== "grpc-go") return nodeCommand(join(import.meta.dirname, "client.ts"), client, `${port}`, "-", name);
  const flags = ["-server_host", "127.0.0.1", "-server_port", `${port}`, "-test_case"] as const;
  // For the padding cases the published client is that of large_unary.
  return name.endsWith("padding") || name.endsWith("sanity_test")
    ? [go.client, ...flags, "large_unary"]
    : [go.negativeClient, ...flags, name];
}

function nodeError(name: NegativeCase, stdout: string, complaint: string): string | undefined {
  const line = stdout.split("\n").find((text) => text.startsWith("{"));
  const result = line === undefined ? undefined : (JSON.parse(line) as Result);
  return result?.name === name ? result.error : `the client did not get to it: ${complaint}`;
}

/**
 * grpc-go's client still asks for UNKNOWN in rst_during_data, while grpc-go itself gives INTERNAL, which is what the
 * protocol says of NO_ERROR (PROTOCOL-HTTP2.md, "Errors"): that very complaint is the right answer.
 */
function goError(name: NegativeCase, succeeded: boolean, complaint: string): string | undefined {
  if (succeeded) return undefined;
  if (name === "rst_during_data" && complaint.endsWith(".UnaryCall() = _, Internal, want _, Unknown")) return undefined;
  return complaint;
}
