import { stripVTControlCharacters, styleText } from "node:util";
import Table from "cli-table3";

export type OutputFormat = "text" | "json" | "yaml";

/** Text from outside (names, labels, error texts) without what a terminal would obey. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed here.
  return stripVTControlCharacters(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "�");
}

/** Writes a command's answer: to a terminal without what it would obey, to anything else byte for byte. */
export function print(text: string): void {
  process.stdout.write(process.stdout.isTTY ? printable(text) : text);
}

/** Writes a command's answer as JSON. */
export function printJson(value: unknown): void {
  print(`${JSON.stringify(value, null, 2)}\n`);
}

/** Rows under headings, aligned, without borders: what can be read and piped. `empty` is what no row at all is told as. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], empty: string): string {
  if (rows.length === 0) return `${empty}\n`;
  const none = "";
  const out = new Table({
    head: [...head],
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
    chars: {
      top: none,
      "top-mid": none,
      "top-left": none,
      "top-right": none,
      bottom: none,
      "bottom-mid": none,
      "bottom-left": none,
      "bottom-right": none,
      left: none,
      "left-mid": none,
      mid: none,
      "mid-mid": none,
      right: none,
      "right-mid": none,
      middle: none,
    },
  });
  // A cell is one line, whatever is in it.
  for (const row of rows) out.push(row.map((cell) => printable(cell).replace(/\s+/g, " ")));
  return `${out
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")}\n`;
}

/** `text` in `style`, where `stream` is a terminal that shows it. */
export function styled(
  style: Parameters<typeof styleText>[0],
  text: string,
  stream: NodeJS.WriteStream = process.stdout,
): string {
  return styleText(style, text, { stream });
}

/** The first line of a long-running command: what it listens on. Under `-o json` one line that programs read. */
export function printReady(
  format: OutputFormat,
  ready: Readonly<Record<string, unknown>>,
  lines: readonly string[],
): void {
  process.stdout.write(format === "json" ? `${JSON.stringify(ready)}\n` : `${lines.join("\n")}\n`);
}
