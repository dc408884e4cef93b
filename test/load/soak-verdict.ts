import { isDeepStrictEqual } from "node:util";
import type { SoakResult } from "./soak.ts";
import type { FinalReport } from "./soak-protocol.ts";

/** More than chance makes of a few samples, less than the smallest object lost with every call of 20 s. */
const mostGrowthBytes = 400_000;

/** What speaks against the transport; nothing when all is well. */
export function judge({ client, server, openConnections, trends }: SoakResult): string[] {
  const complaints = [...client.defects, ...judgeProcess("client", client), ...judgeProcess("server", server)];
  if (openConnections > 0) complaints.push(`${openConnections} connections were open after their channels were closed`);
  const ended = Object.entries(client.outcomes);
  const all = ended.reduce((sum, [, count]) => sum + count, 0);
  const good = ended.filter(([end]) => end.endsWith(": OK")).reduce((sum, [, count]) => sum + count, 0);
  if (good < all / 2) complaints.push(`only ${good} of ${all} calls ended well`);
  for (const [what, { bytesPerCall, growthBytes }] of Object.entries(trends)) {
    if (growthBytes > mostGrowthBytes) {
      complaints.push(`${what} grew by ${Math.round(growthBytes)} bytes, ${bytesPerCall.toFixed(1)} a call`);
    }
  }
  return complaints;
}

function judgeProcess(name: string, { open, before, after, warnings }: FinalReport): string[] {
  const complaints = warnings.map((warning) => `${name}: ${warning}`);
  for (const [what, count] of Object.entries(open)) {
    if (count !== 0) complaints.push(`${name}: ${count} ${what} left open`);
  }
  if (!isDeepStrictEqual(before, after)) {
    complaints.push(`${name} holds ${JSON.stringify(after)}, held ${JSON.stringify(before)} before the traffic`);
  }
  return complaints;
}
