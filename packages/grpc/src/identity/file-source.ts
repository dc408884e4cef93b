import { readFile } from "node:fs/promises";
import { type Clock, systemClock } from "../clock.ts";
import type { IdentitySource, SourceStatus, TlsMaterial } from "./material.ts";
import { parseCertificates, tlsMaterial } from "./pem.ts";
import { SourceState } from "./source-state.ts";

/** gRPC's `file_watcher` certificate provider (gRFC A29): certificate and key, roots, or all three. */
export interface FileSourceOptions {
  readonly certificateFile?: string;
  readonly privateKeyFile?: string;
  readonly caCertificateFile?: string;
  /** Default 600 s. */
  readonly refreshIntervalMs?: number;
  readonly clock?: Clock;
}

const defaultRefreshIntervalMs = 600_000;
/** After a failure the files are looked at sooner: a writer is between two renames, or hasn't begun. */
const retryMs = 1_000;

/**
 * Key, certificate and roots from files that somebody else rewrites.
 *
 * The three are read as they are found, never as events, so a writer needs no protocol with us. A pair counts only if the
 * key is the certificate's: while the two are of different generations, or unreadable, the last good pair stays. Roots
 * swap independently. Failures are in `status`.
 */
export class FileSource implements IdentitySource {
  readonly #options: FileSourceOptions;
  readonly #clock: Clock;
  readonly #state = new SourceState();
  #certificateChainPem = "";
  #privateKeyPem = "";
  #rootsPem: string | undefined;
  #cancelTimer: (() => void) | undefined;
  #reading: Promise<void> | undefined;
  #closed = false;

  constructor(options: FileSourceOptions) {
    if ((options.certificateFile === undefined) !== (options.privateKeyFile === undefined)) {
      throw new Error("a certificate file and a private key file are given together or not at all");
    }
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    void this.refresh();
  }

  current(): TlsMaterial | undefined {
    return this.#state.current();
  }

  roots(): string | undefined {
    return this.#state.roots();
  }

  status(): SourceStatus {
    return this.#state.status();
  }

  watch(changed: () => void): () => void {
    return this.#state.watch(changed);
  }

  /** Calls `changed` whenever `status` may tell something else; returns how to stop. */
  watchStatus(changed: () => void): () => void {
    return this.#state.watchStatus(changed);
  }

  /** Reads now, or joins the reading in progress. Resolves when what was found is in force; never rejects. */
  refresh(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#state.clear();
  }

  async #read(): Promise<void> {
    this.#cancelTimer?.();
    const problems: string[] = [];
    const { certificateFile, privateKeyFile, caCertificateFile } = this.#options;
    // Key before certificate: Istio's agent and ours write them in that order, so a torn read is rarer.
    const [key, chain, roots] = await Promise.all([
      readText(privateKeyFile, problems),
      readText(certificateFile, problems),
      readText(caCertificateFile, problems),
    ]);
    if (this.#closed) return;
    const nextRoots = usableRoots(roots, caCertificateFile, problems) ?? this.#rootsPem;
    const material = this.#usablePair(key, chain, nextRoots, problems);
    this.#rootsPem = nextRoots;
    this.#state.swap(material, nextRoots);
    const delayMs = problems.length === 0 ? this.#refreshMs() : Math.min(retryMs, this.#refreshMs());
    this.#state.report(problems.length === 0 ? undefined : problems.join("; "), new Date(this.#clock.now() + delayMs));
    this.#cancelTimer = this.#clock.schedule(delayMs, () => void this.refresh());
  }

  #usablePair(
    key: string | undefined,
    chain: string | undefined,
    roots: string | undefined,
    problems: string[],
  ): TlsMaterial | undefined {
    const current = this.#state.current();
    const privateKeyPem = key ?? this.#privateKeyPem;
    const certificateChainPem = chain ?? this.#certificateChainPem;
    const sameRoots = roots === this.#rootsPem;
    if (privateKeyPem === this.#privateKeyPem && certificateChainPem === this.#certificateChainPem && sameRoots) {
      return current;
    }
    if (privateKeyPem === "" || certificateChainPem === "") return current;
    try {
      const material = tlsMaterial({ privateKeyPem, certificateChainPem, rootsPem: roots ?? "" });
      this.#privateKeyPem = privateKeyPem;
      this.#certificateChainPem = certificateChainPem;
      return material;
    } catch (error) {
      problems.push(`${this.#options.certificateFile}, ${this.#options.privateKeyFile}: ${(error as Error).message}`);
      return sameRoots || current === undefined ? current : { ...current, rootsPem: roots ?? "" };
    }
  }

  #refreshMs(): number {
    return this.#options.refreshIntervalMs ?? defaultRefreshIntervalMs;
  }
}

/** A key, a chain or a bundle is a few kilobytes; whatever is larger is another file. */
const largestFileBytes = 1 << 20;

async function readText(path: string | undefined, problems: string[]): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    const text = await readFile(path, "utf8");
    if (text.length <= largestFileBytes) return text;
    problems.push(`${path} is larger than ${largestFileBytes} bytes`);
  } catch (error) {
    problems.push((error as Error).message);
  }
  return undefined;
}

function usableRoots(pem: string | undefined, path: string | undefined, problems: string[]): string | undefined {
  if (pem === undefined) return undefined;
  try {
    parseCertificates(pem, path ?? "the root bundle");
    return pem;
  } catch (error) {
    problems.push((error as Error).message);
    return undefined;
  }
}
