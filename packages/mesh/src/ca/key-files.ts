import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { AuthorityError } from "./authority-error.ts";

/**
 * A directory that only its owner may enter, with files that only their owner may read. It comes into being whole, with
 * its first files, or not at all.
 *
 * Every failure is an AuthorityError that names the file.
 */
export class KeyDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Whether there is nothing yet. One that others may enter is tightened: it is ours alone. */
  isEmpty(): boolean {
    return this.#trying(() => {
      let names: string[];
      try {
        names = readdirSync(this.path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return true;
        throw error;
      }
      if ((statSync(this.path).mode & 0o077) !== 0) chmodSync(this.path, 0o700);
      return names.length === 0;
    });
  }

  /**
   * Makes the directory with these files. They are written beside it and moved there in one step, so that no crash leaves
   * some of them: half an authority could not be told from one that somebody took a file from.
   */
  create(files: Readonly<Record<string, string>>): void {
    this.#trying(() => {
      const draft = `${this.path}.draft`;
      rmSync(draft, { recursive: true, force: true });
      mkdirSync(draft, { recursive: true, mode: 0o700 });
      for (const [name, text] of Object.entries(files)) writeDurably(join(draft, name), text);
      syncDirectory(draft);
      try {
        rmdirSync(this.path);
      } catch (error) {
        // Only an empty one stands in the way, and only where somebody made it.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
      renameSync(draft, this.path);
      syncDirectory(dirname(this.path));
    });
  }

  /**
   * The text of a file, or undefined where there is none.
   *
   * Throws where others may read it: a key that was readable may be known, and a silent chmod would hide that.
   */
  read(name: string): string | undefined {
    const path = join(this.path, name);
    return this.#trying(() => {
      let mode: number;
      try {
        mode = statSync(path).mode & 0o777;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
      if ((mode & 0o077) === 0) return readFileSync(path, "utf8");
      throw new AuthorityError("WEFT0310", `${path} has mode 0${mode.toString(8)}: other users may have read it`, {
        file: path,
        hint: `chmod 600 ${path} if nobody else can have; otherwise move ${this.path} away, for a new authority`,
      });
    });
  }

  /** Writes a file, 0600 and whole, and on disk when it returns. */
  write(name: string, text: string): void {
    this.#trying(() => {
      const draft = join(this.path, `${name}.tmp`);
      writeDurably(draft, text);
      renameSync(draft, join(this.path, name));
      syncDirectory(this.path);
    });
  }

  #trying<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof AuthorityError) throw error;
      throw new AuthorityError("WEFT0315", `the keys in ${this.path} can't be used: ${(error as Error).message}`, {
        file: this.path,
        hint: "see to the directory's owner and mode, and to free space on its disk",
      });
    }
  }
}

function writeDurably(path: string, text: string): void {
  const file = openSync(path, "w", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A rename is on disk when its directory is. */
function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
