import { type Diagnostic, errorAbout } from "../model/diagnostic.ts";
import type { AuditEntry } from "../store/records.ts";
import type {
  ChangeResult,
  CreatedToken,
  ErrorBody,
  InterfaceStatus,
  ResourceKey,
  ResourceView,
  StatusReport,
  TokenRequest,
  TokenView,
} from "./api-types.ts";
import { type AdminCredential, credentialPath, readCredential } from "./credential-file.ts";
import { writeHeader } from "./guard.ts";

/** The admin API said no, or couldn't be asked. `diagnostics` is never empty. */
export class AdminError extends Error {
  override readonly name = "AdminError";
  readonly diagnostics: readonly Diagnostic[];
  /** The HTTP status; undefined where no answer came. */
  readonly status: number | undefined;

  constructor(diagnostics: readonly Diagnostic[], status?: number, options?: ErrorOptions) {
    super(diagnostics[0]?.message ?? "the admin API failed", options);
    this.diagnostics = diagnostics;
    this.status = status;
  }
}

/** A client of the control plane that runs with this data directory. Throws AdminError, saying what to do, where none can be trusted. */
export function connectAdmin(dataDirectory: string, options: { readonly timeoutMs?: number } = {}): AdminClient {
  const found = readCredential(dataDirectory);
  if ("severity" in found) throw new AdminError([found]);
  return new AdminClient(found, credentialPath(dataDirectory), options.timeoutMs ?? 30_000);
}

/** One function per route. All of them throw AdminError. */
export class AdminClient {
  readonly url: string;
  readonly #credential: AdminCredential;
  readonly #path: string;
  readonly #timeoutMs: number;

  constructor(credential: AdminCredential, path: string, timeoutMs: number) {
    this.url = credential.url;
    this.#credential = credential;
    this.#path = path;
    this.#timeoutMs = timeoutMs;
  }

  status(): Promise<StatusReport> {
    return this.#request("GET", "status");
  }

  async diagnostics(): Promise<readonly Diagnostic[]> {
    return (await this.#request<ErrorBody>("GET", "diagnostics")).diagnostics;
  }

  async interfaces(): Promise<readonly InterfaceStatus[]> {
    return (await this.#request<{ interfaces: readonly InterfaceStatus[] }>("GET", "interfaces")).interfaces;
  }

  async audit(): Promise<readonly AuditEntry[]> {
    return (await this.#request<{ entries: readonly AuditEntry[] }>("GET", "audit")).entries;
  }

  async resources(
    filter: { readonly kind?: string; readonly namespace?: string } = {},
  ): Promise<readonly ResourceView[]> {
    const kind = filter.kind === undefined ? "" : `/${encodeURIComponent(filter.kind)}`;
    const query = filter.namespace === undefined ? "" : `?namespace=${encodeURIComponent(filter.namespace)}`;
    return (await this.#request<{ resources: readonly ResourceView[] }>("GET", `resources${kind}${query}`)).resources;
  }

  resource(key: ResourceKey): Promise<ResourceView> {
    return this.#request("GET", resourcePath(key));
  }

  /** Applies all of the texts or nothing. A refusal for what they say is a result, not an error. */
  apply(request: {
    readonly files: readonly { readonly file: string; readonly text: string }[];
    readonly defaultNamespace?: string | undefined;
    readonly dryRun?: boolean | undefined;
  }): Promise<ChangeResult> {
    return this.#request("POST", "apply", request);
  }

  /** Deletes all of these or nothing. */
  delete(resources: readonly ResourceKey[]): Promise<ChangeResult> {
    return this.#request("POST", "delete", {
      resources: resources.map(({ kind, namespace, name }) => ({ kind, namespace, name })),
    });
  }

  createToken(request: TokenRequest): Promise<CreatedToken> {
    return this.#request("POST", "tokens", request);
  }

  async tokens(): Promise<readonly TokenView[]> {
    return (await this.#request<{ tokens: readonly TokenView[] }>("GET", "tokens")).tokens;
  }

  async revokeToken(id: string): Promise<void> {
    await this.#request("DELETE", `tokens/${encodeURIComponent(id)}`);
  }

  async #request<T>(method: string, path: string, body?: unknown): Promise<T> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.url}/api/v1/${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.#credential.token}`,
          [writeHeader]: "1",
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        // The credential is for this server only.
        redirect: "error",
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
      text = await response.text();
    } catch (error) {
      throw this.#unreachable(error);
    }
    const answer = parseAnswer(text);
    if (response.ok) return answer as T;
    if (isRefusal(answer)) return answer as T;
    const { diagnostics } = (answer ?? {}) as Partial<ErrorBody>;
    if (response.status === 401) throw new AdminError([this.#stale()], 401);
    if (Array.isArray(diagnostics) && diagnostics.length > 0) throw new AdminError(diagnostics, response.status);
    throw new AdminError([
      errorAbout("WEFT0509", `${this.url} answered ${response.status} and is no control plane of this version`, {
        file: this.#path,
      }),
    ]);
  }

  #stale(): Diagnostic {
    return errorAbout("WEFT0510", `the control plane at ${this.url} does not take the credential in ${this.#path}`, {
      file: this.#path,
      hint: "it was restarted with another --data directory; name that one",
    });
  }

  #unreachable(error: unknown): AdminError {
    const cause = error instanceof Error ? error.cause : undefined;
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    const { pid } = this.#credential;
    const message =
      code === "ECONNREFUSED"
        ? `no control plane listens at ${this.url}; ${this.#path} was left by process ${pid}, which is gone`
        : `the control plane at ${this.url} (process ${pid}) did not answer: ${error instanceof Error ? error.message : String(error)}`;
    const hint =
      code === "ECONNREFUSED" ? "start it again: weft up, with the same --data" : `see whether process ${pid} hangs`;
    return new AdminError([errorAbout("WEFT0509", message, { file: this.#path, hint })], undefined, {
      cause: error,
    });
  }
}

function resourcePath({ kind, namespace, name }: ResourceKey): string {
  return `resources/${[kind, namespace, name].map(encodeURIComponent).join("/")}`;
}

function parseAnswer(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    // Not JSON, so not this API: the caller says so.
    return undefined;
  }
}

function isRefusal(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null && "kind" in answer && answer.kind === "refused";
}
