import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** A directory that only its owner may enter, with files that only their owner may read. */
export class KeyDirectory {
  readonly #path: string;

  /** Makes the directory 0700 where it is missing, and tightens one that others may enter: it is ours alone. */
  constructor(path: string) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o700);
    this.#path = path;
  }

  /**
   * The text of a file, or undefined where there is none.
   *
   * Throws where others may read it: a key that was readable may be known, and a silent chmod would hide that.
   */
  read(name: string): string | undefined {
    const path = join(this.#path, name);
    if (!existsSync(path)) return undefined;
    const mode = statSync(path).mode & 0o777;
    if ((mode & 0o077) !== 0) {
      throw new ExposedKeyError(`${path} has mode 0${mode.toString(8)}: other users may have read it`, path);
    }
    return readFileSync(path, "utf8");
  }

  /** Writes a file, 0600 and whole, and on disk when it returns. */
  write(name: string, text: string): void {
    const path = join(this.#path, name);
    const draft = `${path}.tmp`;
    const file = openSync(draft, "w", 0o600);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  }
}

/** A key file that other users can read. */
export class ExposedKeyError extends Error {
  override readonly name = "ExposedKeyError";
  readonly path: string;

  constructor(message: string, path: string) {
    super(message);
    this.path = path;
  }
}
