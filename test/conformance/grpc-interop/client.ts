// `node client.ts <stack> <port> <CA file or -> <case…>`: runs cases against a server, one after the other, each with a
// client of its own. Prints a line of JSON per case: {"name", "error"?}.
import { type Case, cases } from "./cases.ts";
import { compressedCases } from "./compressed-cases.ts";
import type { Connect } from "./exchange.ts";
import { within } from "./guard.ts";
import { negativeCases } from "./negative-cases.ts";
import { connectPromiseClient } from "./promise-client.ts";
import type { ServerAddress } from "./server-address.ts";
import { grpcModule, type Stack } from "./stack.ts";
import { connectStubClient } from "./stub-client.ts";

const allCases: Readonly<Record<string, Case | undefined>> = {
  ...cases,
  ...compressedCases,
  ...negativeCases,
};
const [stack, port, caFile, ...names] = process.argv.slice(2) as [Stack, string, string, ...string[]];
const server: ServerAddress = { port: Number(port), ...(caFile === "-" ? {} : { caFile }) };

async function connector(): Promise<Connect> {
  if (stack === "promise") return () => connectPromiseClient(server);
  const module = await grpcModule(stack);
  return () => connectStubClient(module, server);
}

const connect = await connector();
for (const name of names) {
  const run = allCases[name];
  const client = connect();
  let error: string | undefined;
  try {
    if (run === undefined) throw new Error(`there is no case ${name}`);
    await within(10_000, run(client, connect));
  } catch (reason) {
    error = reason instanceof Error ? reason.message : String(reason);
  }
  await client.close();
  console.log(JSON.stringify({ name, error }));
}
process.exit(0);
