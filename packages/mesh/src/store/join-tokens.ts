import { randomBytes } from "node:crypto";
import { BlockList, isIP } from "node:net";
import type { Clock } from "@weft/grpc/platform";
import type { KnownToken } from "../authn/authenticate.ts";
import { joinTokenHash, mintJoinToken, parseJoinToken } from "../authn/join-token.ts";
import {
  formatTokenRecord,
  parseTokenRecord,
  type TokenRecord,
  tokenProblem,
  useToken,
} from "../authn/token-record.ts";
import { type Diagnostic, errorAbout } from "../model/diagnostic.ts";
import { isDnsLabel, isDnsName, isLabelKey, isLabelValue } from "../model/names.ts";
import type { TokenTable } from "./tokens.ts";

/** What a new join token shall allow. */
export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The labels that its workloads carry. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Whether they may carry others besides. Default false. */
  readonly anyLabel?: boolean | undefined;
  /** CIDR blocks that their addresses may lie in, beside the session's own. */
  readonly addresses?: readonly string[] | undefined;
  /** Default 1 h. */
  readonly ttlMs?: number | undefined;
  /** How many processes may join with it; undefined: any number until it expires. */
  readonly uses?: number | undefined;
}

/** A join token as anyone may see it: everything but the secret. */
export interface TokenView {
  readonly id: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly anyLabel: boolean;
  readonly addresses: readonly string[];
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly usesLeft: number | undefined;
}

/** A join token just made. `token` is shown this once: nothing keeps it. */
export interface CreatedToken extends TokenView {
  readonly token: string;
}

const hourMs = 3_600_000;
const shortestMs = 10_000;
const longestMs = 366 * 24 * hourMs;
/** No token may make a process the control plane's neighbour: its namespace holds what rules the whole mesh. */
const reservedNamespace = "weft-system";
const mostTokens = 10_000;
/** How long an expired token stays listed, so that "it expired" can be told from "there was none". */
const keptExpiredMs = 24 * hourMs;

/** The join tokens of a control plane whose root certificate is `rootDer`. */
export class JoinTokens {
  readonly #table: TokenTable;
  readonly #rootDer: Uint8Array;
  readonly #clock: Clock;

  constructor(options: { readonly table: TokenTable; readonly rootDer: Uint8Array; readonly clock: Clock }) {
    this.#table = options.table;
    this.#rootDer = options.rootDer;
    this.#clock = options.clock;
  }

  /** A new token, kept as a hash, or why it can't be as asked. */
  create(request: TokenRequest): CreatedToken | Diagnostic {
    const problem = problemOf(request);
    if (problem !== undefined) return errorAbout("WEFT0402", problem, { file: "token" });
    this.#prune();
    if (this.#table.list().length >= mostTokens) {
      return errorAbout("WEFT0402", `there are ${mostTokens} tokens already`, {
        file: "token",
        hint: "revoke some",
      });
    }
    const text = mintJoinToken(this.#rootDer, randomBytes);
    const token = parseJoinToken(text);
    if (token === undefined) throw new Error("a minted token does not parse");
    const id = randomBytes(6).toString("hex");
    const createdMs = this.#clock.now();
    const { namespace, serviceAccount, uses } = request;
    const record: TokenRecord = {
      namespace,
      serviceAccount,
      createdMs,
      expiresMs: createdMs + (request.ttlMs ?? hourMs),
      labels: { ...request.labels },
      anyLabel: request.anyLabel ?? false,
      addresses: [...(request.addresses ?? [])],
      ...(uses === undefined ? {} : { usesLeft: uses }),
    };
    this.#table.put({ id, secretHash: joinTokenHash(token), record: formatTokenRecord(record) });
    return { ...viewOf(id, record), token: text };
  }

  /** All tokens, newest first; expired ones for a day more. */
  list(): readonly TokenView[] {
    return this.#table
      .list()
      .map(({ id, record }) => viewOf(id, parseTokenRecord(record)))
      .sort((a, b) => b.createdMs - a.createdMs);
  }

  /** Takes a token out of use, durably; false where there was none. Certificates that it led to live on. */
  revoke(id: string): boolean {
    return this.#table.delete(id);
  }

  /** The token with this hash, for authentication. */
  find(secretHash: string): KnownToken | undefined {
    const stored = this.#table.findByHash(secretHash);
    return stored && { id: stored.id, secretHash: stored.secretHash, record: parseTokenRecord(stored.record) };
  }

  /** Takes note, durably, that the process with this public key joins with the token; why not, where it may not. */
  join(id: string, publicKeyHash: string): string | undefined {
    let refused: string | undefined = "the join token was revoked";
    this.#table.update(id, (text) => {
      const record = parseTokenRecord(text);
      refused = tokenProblem(record, this.#clock.now());
      if (refused !== undefined) return undefined;
      const used = useToken(record, publicKeyHash);
      if ("problem" in used) {
        refused = used.problem;
        return undefined;
      }
      return used === record ? undefined : formatTokenRecord(used);
    });
    return refused;
  }

  #prune(): void {
    const limitMs = this.#clock.now() - keptExpiredMs;
    for (const { id, expiresMs } of this.list()) if (expiresMs < limitMs) this.#table.delete(id);
  }
}

function viewOf(id: string, record: TokenRecord): TokenView {
  const { namespace, serviceAccount, labels, anyLabel, addresses, createdMs, expiresMs, usesLeft } = record;
  return { id, namespace, serviceAccount, labels, anyLabel, addresses, createdMs, expiresMs, usesLeft };
}

function problemOf({ namespace, serviceAccount, labels, addresses, ttlMs, uses }: TokenRequest): string | undefined {
  if (!isDnsLabel(namespace)) return `${JSON.stringify(namespace)} is not a namespace's name`;
  if (namespace === reservedNamespace) return `namespace ${reservedNamespace} is the control plane's own`;
  if (!isDnsName(serviceAccount)) return `${JSON.stringify(serviceAccount)} is not a service account's name`;
  for (const [key, value] of Object.entries(labels ?? {})) {
    if (!isLabelKey(key) || !isLabelValue(value)) return `${JSON.stringify(`${key}=${value}`)} is not a label`;
  }
  const block = addresses?.find((text) => !isAddressBlock(text));
  if (block !== undefined) return `${JSON.stringify(block)} is not a CIDR block such as 10.1.0.0/16`;
  if (ttlMs !== undefined && (ttlMs < shortestMs || ttlMs > longestMs))
    return "a token lives between 10 seconds and 366 days";
  if (uses !== undefined && (!Number.isSafeInteger(uses) || uses < 1)) return "a token has at least one use";
  return undefined;
}

function isAddressBlock(text: string): boolean {
  const [network = "", prefix, ...rest] = text.split("/");
  const family = isIP(network);
  if (family === 0 || rest.length > 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) return false;
  try {
    new BlockList().addSubnet(network, Number(prefix ?? (family === 4 ? 32 : 128)), family === 4 ? "ipv4" : "ipv6");
    return true;
  } catch {
    // The prefix is longer than the family's addresses.
    return false;
  }
}
