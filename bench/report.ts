import { cpus } from "node:os";
import Table from "cli-table3";

/** One row of a bench's report: a figure of ours against a peer's, and the bar that the ratio has to pass. */
export interface Row {
  readonly id: string;
  readonly what: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  readonly unit: string;
  readonly ratio: number;
  readonly bar: string;
  readonly met: boolean;
}

/** What a bench found. */
export interface Findings {
  readonly rows: readonly Row[];
  /** Rows that were not asked for. */
  readonly leftOut: readonly string[];
  /** Rows that were asked for and could not be measured, each with why. */
  readonly unmeasured: readonly string[];
  /** Ends with one line of JSON. */
  readonly json: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** A row from the repeats of both sides; `bar` is text such as ">= 10" or "<= 0.4". */
export function rowOf(row: Omit<Row, "ours" | "peer" | "ratio" | "met">, ours: number[], peer: number[]): Row {
  const ratio = median(ours) / median(peer);
  const [relation, limit] = row.bar.split(" ");
  const met = relation === ">=" ? ratio >= Number(limit) : ratio <= Number(limit);
  return { ...row, ours: median(ours), peer: median(peer), ratio, met };
}

const figure = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);

/** Prints the rows as a table. Returns the exit code: 1 when a bar is missed, else 2 when a row could not be measured. */
export function report(bench: string, { rows, leftOut, unmeasured, json }: Findings): number {
  const cpu = cpus()[0]?.model ?? "unknown";
  const table = new Table({
    head: ["id", "ours", "peer", "unit", "ratio", "bar", ""],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const peer = `${figure(row.peer)} ${row.peerName}`;
    const verdict = row.met ? "met" : "MISSED";
    table.push([row.id, figure(row.ours), peer, row.unit, `${row.ratio.toPrecision(3)}x`, row.bar, verdict]);
  }
  console.log(`${bench}: Node ${process.version}, ${cpus().length} x ${cpu}`);
  console.log(table.toString());
  if (leftOut.length > 0) console.log(`left out: ${leftOut.join(", ")}`);
  for (const reason of unmeasured) console.log(`COULD NOT BE MEASURED: ${reason}`);
  const missed = rows.filter((row) => !row.met).length;
  console.log(`${rows.length - missed} bars met, ${missed} missed, ${unmeasured.length} not measured`);
  if (json) console.log(JSON.stringify({ bench, node: process.version, cpu, rows }));
  if (missed > 0) return 1;
  return unmeasured.length > 0 ? 2 : 0;
}
