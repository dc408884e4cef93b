import { message } from "@weft/xds-api";
import { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import type { FileSourceOptions } from "../identity/file-source.ts";
import { RpcError } from "../rpc/error.ts";
import { withUserAgent } from "./node.ts";

/** How the bootstrap says its server is to be reached (gRFC A27, A65). */
export type BootstrapCredentials =
  | { readonly kind: "insecure" }
  /** Without a CA file: the system's roots. The server is known by its host name. */
  | { readonly kind: "tls"; readonly files: FileSourceOptions };

/** What a gRPC client's bootstrap JSON says, as far as it concerns us. */
export interface Bootstrap {
  readonly serverUri: string;
  readonly credentials: BootstrapCredentials;
  readonly node: Node;
  /** By the name that xDS TLS contexts use. Plug-ins other than `file_watcher` are left out. */
  readonly certificateProviders: ReadonlyMap<string, FileSourceOptions>;
  readonly serverListenerTemplate: string | undefined;
}

/** What a bootstrap may weigh; real ones have a few kilobytes. */
export const largestBootstrapBytes = 1 << 20;

/**
 * The bootstrap in `text`; `source` names it in errors (a variable, a file).
 *
 * Throws RpcError UNAVAILABLE with the field that is wrong. Unknown keys are ignored, as every gRPC client does; of
 * `xds_servers` only the first is used.
 */
export function parseBootstrap(text: string, source: string): Bootstrap {
  if (text.length > largestBootstrapBytes) throw wrong(source, "", `is larger than ${largestBootstrapBytes} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new RpcError("UNAVAILABLE", `${source} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const root = new Fields(json, source, "");
  const servers = root.list("xds_servers");
  if (servers.length === 0) throw wrong(source, "xds_servers", "is missing or empty");
  const server = new Fields(servers[0], source, "xds_servers[0]");
  const serverUri = server.text("server_uri");
  if (serverUri === undefined || serverUri === "") throw wrong(source, "xds_servers[0].server_uri", "is missing");
  return {
    serverUri,
    credentials: credentialsOf(server, source),
    node: nodeOf(root),
    certificateProviders: providersOf(root, source),
    serverListenerTemplate: root.text("server_listener_resource_name_template"),
  };
}

function credentialsOf(server: Fields, source: string): BootstrapCredentials {
  const all = server.list("channel_creds").map((entry, index) => {
    return new Fields(entry, source, `xds_servers[0].channel_creds[${index}]`);
  });
  const types = all.map((entry) => entry.text("type") ?? "");
  // The first that is supported counts (gRFC A27).
  for (const [index, type] of types.entries()) {
    if (type === "insecure") return { kind: "insecure" };
    const config = all[index]?.object("config");
    if (type === "tls") return { kind: "tls", files: config === undefined ? {} : filesOf(config, source) };
  }
  const found = types.length === 0 ? "is missing" : `has none of insecure, tls (it has ${types.join(", ")})`;
  throw wrong(source, "xds_servers[0].channel_creds", found);
}

function nodeOf(root: Fields): Node {
  const node = root.object("node");
  const locality = node?.object("locality");
  return withUserAgent(
    message(Node, {
      id: node?.text("id") ?? "",
      cluster: node?.text("cluster") ?? "",
      metadata: node?.object("metadata")?.values,
      locality: {
        region: locality?.text("region") ?? "",
        zone: locality?.text("zone") ?? "",
        subZone: locality?.text("sub_zone") ?? "",
      },
    }),
  );
}

function providersOf(root: Fields, source: string): Map<string, FileSourceOptions> {
  const providers = new Map<string, FileSourceOptions>();
  const all = root.object("certificate_providers");
  for (const name of Object.keys(all?.values ?? {})) {
    const provider = all?.object(name);
    if (provider?.text("plugin_name") !== "file_watcher") continue;
    const config = provider.object("config");
    if (config === undefined) throw wrong(source, `${provider.path}.config`, "is missing");
    const files = filesOf(config, source);
    if (files.certificateFile === undefined && files.caCertificateFile === undefined) {
      throw wrong(source, config.path, "names neither certificate_file nor ca_certificate_file");
    }
    providers.set(name, files);
  }
  return providers;
}

function filesOf(config: Fields, source: string): FileSourceOptions {
  const certificateFile = config.text("certificate_file");
  const privateKeyFile = config.text("private_key_file");
  const caCertificateFile = config.text("ca_certificate_file");
  const refresh = config.text("refresh_interval");
  if ((certificateFile === undefined) !== (privateKeyFile === undefined)) {
    throw wrong(source, config.path, "has only one of certificate_file and private_key_file");
  }
  const refreshIntervalMs = refresh === undefined ? undefined : durationMs(refresh);
  if (refresh !== undefined && (refreshIntervalMs === undefined || refreshIntervalMs <= 0)) {
    throw wrong(source, `${config.path}.refresh_interval`, `is no positive duration: ${JSON.stringify(refresh)}`);
  }
  return {
    ...(certificateFile !== undefined && privateKeyFile !== undefined ? { certificateFile, privateKeyFile } : {}),
    ...(caCertificateFile === undefined ? {} : { caCertificateFile }),
    ...(refreshIntervalMs === undefined ? {} : { refreshIntervalMs }),
  };
}

/** Protobuf's JSON form of a duration: `900s`, `0.5s`. */
function durationMs(text: string): number | undefined {
  const seconds = /^(\d{1,12}(?:\.\d{1,9})?)s$/.exec(text)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

function wrong(source: string, field: string, what: string): RpcError {
  return new RpcError("UNAVAILABLE", `${source}${field === "" ? "" : `: ${field}`} ${what}`);
}

/** A JSON object whose fields are asked for by type; the path to it stands in errors. */
class Fields {
  readonly values: Readonly<Record<string, unknown>>;
  readonly path: string;
  readonly #source: string;

  constructor(value: unknown, source: string, path: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw wrong(source, path, "is not an object");
    }
    this.values = value as Record<string, unknown>;
    this.path = path;
    this.#source = source;
  }

  text(name: string): string | undefined {
    const value = this.#own(name);
    if (value === undefined || typeof value === "string") return value;
    throw wrong(this.#source, this.#pathTo(name), "is not a string");
  }

  list(name: string): readonly unknown[] {
    const value = this.#own(name);
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    throw wrong(this.#source, this.#pathTo(name), "is not a list");
  }

  object(name: string): Fields | undefined {
    const value = this.#own(name);
    return value === undefined ? undefined : new Fields(value, this.#source, this.#pathTo(name));
  }

  #own(name: string): unknown {
    const value = Object.hasOwn(this.values, name) ? this.values[name] : undefined;
    // JSON's null is protobuf's "not set".
    return value === null ? undefined : value;
  }

  #pathTo(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }
}
