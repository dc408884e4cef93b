import { shortTypeName } from "@weft/xds-api";
import type { ClientStatus, StatusReport } from "../admin/api-types.ts";
import type { AdminClient } from "../admin/client.ts";
import { CommandFailure } from "./failure.ts";

const pollMs = 50;

/**
 * Resolves once every connected client acknowledged all there is for it. Fails at once where one refuses it, and after
 * `seconds` where one stays silent; the message names them.
 */
export async function waitUntilSynced(client: AdminClient, seconds: number): Promise<void> {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const { clients } = await client.status();
    const nacked = clients.filter((one) => one.types.some((type) => type.state === "NACKED"));
    if (nacked.length > 0) {
      throw new CommandFailure(
        `${nacked.length} client(s) refuse the configuration:\n${nacked.map(refusals).join("\n")}`,
      );
    }
    const stale = clients.filter((one) => one.types.some((type) => type.state === "STALE"));
    if (stale.length === 0) return;
    if (Date.now() > until) {
      const names = stale.map((one) => one.node.id).join(", ");
      throw new CommandFailure(`after ${seconds} s not acknowledged by: ${names}`, {
        hint: "weft status shows what they run",
      });
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

function refusals(client: ClientStatus): string {
  return client.types
    .filter((type) => type.nack !== undefined)
    .map((type) => `  ${client.node.id} ${shortTypeName(type.typeUrl)}: ${type.nack?.reason}`)
    .join("\n");
}

/** The state of a client over all its types: the worst of them. */
export function overallState(client: StatusReport["clients"][number]): string {
  const states = client.types.map((type) => type.state);
  return states.includes("NACKED") ? "NACKED" : states.includes("STALE") ? "STALE" : "SYNCED";
}
