import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { CommandFailure } from "./failure.ts";

export interface DocumentFile {
  /** As diagnostics name it. */
  readonly file: string;
  readonly text: string;
}

/** The files behind `-f`: a file, a directory (its .yaml and .yml, not deeper), or `-` for standard input. */
export async function readDocuments(paths: readonly string[]): Promise<DocumentFile[]> {
  const files: DocumentFile[] = [];
  for (const path of paths) {
    if (path === "-") files.push({ file: "<stdin>", text: await text(process.stdin) });
    else for (const file of filesAt(path)) files.push({ file, text: readText(file) });
  }
  return files;
}

function filesAt(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
  } catch (cause) {
    throw unreadable(path, cause);
  }
  const found = readdirSync(path)
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => join(path, name));
  if (found.length === 0) throw new CommandFailure(`${path} has no .yaml or .yml file`);
  return found;
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "this user may not read it",
  EISDIR: "it is a directory",
};

function unreadable(path: string, cause: unknown): CommandFailure {
  const { code = "", message } = cause as NodeJS.ErrnoException;
  return new CommandFailure(`cannot read ${path}: ${reasons[code] ?? message}`, { cause, exitCode: 2 });
}
