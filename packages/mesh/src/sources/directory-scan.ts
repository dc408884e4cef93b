import type { Dirent } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Diagnostic, errorAbout } from "../model/diagnostic.ts";

/** One file as a scan found it. `text` is the one of the scan before where neither size nor time of the file changed. */
export interface ScannedFile {
  readonly text: string;
  /** Changes whenever the file may have: inode, size, times. */
  readonly stamp: string;
}

/** All that is under a directory, read again from scratch: nothing here depends on which events were seen. */
export interface DirectoryScan {
  /** By path, in order of the paths. */
  readonly files: ReadonlyMap<string, ScannedFile>;
  /** The directories that were read, to be watched. */
  readonly directories: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

const mostFiles = 5_000;
const longestFileBytes = 4 * 1024 * 1024;
const deepest = 16;

/** What a directory holds before it was ever read. */
export const emptyScan: DirectoryScan = { files: new Map(), directories: [], diagnostics: [] };

/**
 * Reads every .yaml and .yml file under `root`. Names that begin with a dot are skipped (editors, ConfigMap mounts), links
 * to files are followed, links to directories are not.
 *
 * What can't be read keeps what `previous` knew of it, with a diagnostic: an unmounted volume is not an order to forget.
 */
export async function scanDirectory(root: string, previous: DirectoryScan): Promise<DirectoryScan> {
  const files = new Map<string, ScannedFile>();
  const directories: string[] = [];
  const diagnostics: Diagnostic[] = [];

  const keep = (under: string): void => {
    for (const [path, file] of previous.files) {
      if (path === under || path.startsWith(join(under, "/"))) files.set(path, file);
    }
  };
  const unreadable = (path: string, error: unknown): void => {
    diagnostics.push(errorAbout("WEFT0306", `can't be read: ${reasonOf(error)}`, { file: path, hint: hintFor(error) }));
    keep(path);
  };

  const visitFile = async (path: string): Promise<void> => {
    try {
      const { ino, size, mtimeMs, ctimeMs } = await stat(path);
      const stamp = `${ino}:${size}:${mtimeMs}:${ctimeMs}`;
      const known = previous.files.get(path);
      if (known?.stamp === stamp) {
        files.set(path, known);
      } else if (size > longestFileBytes) {
        diagnostics.push(errorAbout("WEFT0307", `is larger than ${longestFileBytes} bytes`, { file: path }));
        keep(path);
      } else {
        files.set(path, { text: await readFile(path, "utf8"), stamp });
      }
    } catch (error) {
      // Gone between listing and reading is simply gone.
      if (codeOf(error) !== "ENOENT") unreadable(path, error);
    }
  };

  const visitDirectory = async (directory: string, depth: number): Promise<void> => {
    let entries: Dirent[];
    try {
      entries = await readdir(directory, { withFileTypes: true });
    } catch (error) {
      if (codeOf(error) !== "ENOENT" || depth === 0) unreadable(directory, error);
      return;
    }
    directories.push(directory);
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) {
        if (depth < deepest) await visitDirectory(path, depth + 1);
        else diagnostics.push(errorAbout("WEFT0307", `is nested deeper than ${deepest} directories`, { file: path }));
      } else if (/\.ya?ml$/.test(entry.name) && (entry.isFile() || entry.isSymbolicLink())) {
        if (files.size < mostFiles) await visitFile(path);
        else {
          diagnostics.push(
            errorAbout("WEFT0307", `is beyond the first ${mostFiles} files and not read`, { file: path }),
          );
          return;
        }
      }
    }
  };

  await visitDirectory(root, 0);
  const sorted = new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
  return { files: sorted, directories, diagnostics };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function reasonOf(error: unknown): string {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "it does not exist",
    EACCES: "permission denied",
    ENOTDIR: "it is not a directory",
    EISDIR: "it is a directory",
    ELOOP: "its links form a loop",
  };
  return reasons[codeOf(error) ?? ""] ?? (error instanceof Error ? error.message : String(error));
}

function hintFor(error: unknown): string | undefined {
  return codeOf(error) === "ENOENT"
    ? "make it, or give another --dir; it is looked for again until it is there"
    : undefined;
}
