import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { type HostPort, parseHostPort } from "../channel/host-port.ts";
import { parseCertificates } from "../identity/pem.ts";
import { RpcError } from "../rpc/error.ts";
import { type Bootstrap, parseBootstrap } from "./bootstrap.ts";
import { type JoinToken, parseJoinToken } from "./join-token.ts";

/** How a process joins by itself. */
export interface JoinSettings {
  readonly server: HostPort;
  readonly token: JoinToken;
  /** PEM. Trusted instead of what the token's hash names. */
  readonly rootsPem: string | undefined;
}

/** What a process was told about its control plane. */
export interface ControlPlaneSettings {
  /** Wins over `join` for xDS. */
  readonly bootstrap: Bootstrap | undefined;
  /** Wins over `registrationSocket` in nothing: with a socket, `weft run` registers. */
  readonly join: JoinSettings | undefined;
  /** Path of the unix socket where `weft run` takes this process's services. */
  readonly registrationSocket: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Empty: the session's peer address. */
  readonly address: string;
}

/** The port where a control plane takes TLS. */
const defaultPort = 15012;
const largestTokenBytes = 4096;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings in `env` (docs: GRPC_XDS_BOOTSTRAP[_CONFIG], WEFT_CONTROL_PLANE, WEFT_TOKEN[_FILE], WEFT_ROOT_CERT,
 * WEFT_LABELS, WEFT_ADDRESS, WEFT_REGISTRATION).
 *
 * Reads the files that they name, once: a token may come through a descriptor (`WEFT_TOKEN_FILE=/dev/fd/3`). Throws
 * RpcError UNAVAILABLE that names the variable, file or field; a token itself is never in it.
 */
export function readSettings(env: Environment): ControlPlaneSettings {
  const bootstrap = readBootstrap(env);
  const join = readJoin(env);
  const registrationSocket = readRegistrationSocket(env);
  if (bootstrap === undefined && join === undefined) {
    throw unavailable(
      "no control plane is known: set WEFT_CONTROL_PLANE and WEFT_TOKEN_FILE, or GRPC_XDS_BOOTSTRAP, or start this process by `weft run`",
    );
  }
  return { bootstrap, join, registrationSocket, labels: readLabels(env), address: readAddress(env) };
}

function readBootstrap(env: Environment): Bootstrap | undefined {
  // The file wins over the text (gRFC A27).
  const path = given(env, "GRPC_XDS_BOOTSTRAP");
  if (path !== undefined) return parseBootstrap(readText(path, "GRPC_XDS_BOOTSTRAP"), path);
  const text = given(env, "GRPC_XDS_BOOTSTRAP_CONFIG");
  return text === undefined ? undefined : parseBootstrap(text, "GRPC_XDS_BOOTSTRAP_CONFIG");
}

function readJoin(env: Environment): JoinSettings | undefined {
  const address = given(env, "WEFT_CONTROL_PLANE");
  if (address === undefined) return undefined;
  const server = parseHostPort(address, defaultPort);
  if (server === undefined || server.port === 0) {
    throw unavailable(`WEFT_CONTROL_PLANE is no host:port: ${JSON.stringify(address)}`);
  }
  const rootFile = given(env, "WEFT_ROOT_CERT");
  return { server, token: readToken(env), rootsPem: rootFile === undefined ? undefined : readRoots(rootFile) };
}

function readToken(env: Environment): JoinToken {
  const path = given(env, "WEFT_TOKEN_FILE");
  const inline = given(env, "WEFT_TOKEN");
  if (path !== undefined && inline !== undefined) throw unavailable("WEFT_TOKEN and WEFT_TOKEN_FILE are both set");
  const text = path === undefined ? inline : readText(path, "WEFT_TOKEN_FILE");
  if (text === undefined) throw unavailable("WEFT_CONTROL_PLANE is set, WEFT_TOKEN or WEFT_TOKEN_FILE is not");
  const token = text.length > largestTokenBytes ? undefined : parseJoinToken(text.trim());
  if (token !== undefined) return token;
  const where = path === undefined ? "WEFT_TOKEN" : `WEFT_TOKEN_FILE (${path})`;
  throw unavailable(`${where} holds no join token: one begins with "weft1." and is made by \`weft token create\``);
}

function readRoots(path: string): string {
  const pem = readText(path, "WEFT_ROOT_CERT");
  try {
    parseCertificates(pem, path);
  } catch (cause) {
    throw new RpcError("UNAVAILABLE", `WEFT_ROOT_CERT: ${(cause as Error).message}`, { cause });
  }
  return pem;
}

function readRegistrationSocket(env: Environment): string | undefined {
  const text = given(env, "WEFT_REGISTRATION");
  if (text === undefined) return undefined;
  const path = /^unix:(?:\/\/(?=\/))?(.+)$/s.exec(text)?.[1];
  if (path === undefined) throw unavailable(`WEFT_REGISTRATION is no unix:PATH: ${JSON.stringify(text)}`);
  return path;
}

function readLabels(env: Environment): Record<string, string> {
  const labels: Record<string, string> = Object.create(null);
  for (const part of (given(env, "WEFT_LABELS") ?? "").split(",")) {
    if (part.trim() === "") continue;
    const [, key, value] = /^\s*([^=\s]+)\s*=\s*(\S*)\s*$/.exec(part) ?? [];
    if (key === undefined || value === undefined) {
      throw unavailable(`WEFT_LABELS: ${JSON.stringify(part)} is no name=value`);
    }
    labels[key] = value;
  }
  return labels;
}

function readAddress(env: Environment): string {
  const address = given(env, "WEFT_ADDRESS") ?? "";
  if (address !== "" && isIP(address) === 0) {
    throw unavailable(`WEFT_ADDRESS is no IP address: ${JSON.stringify(address)}`);
  }
  return address;
}

/** An empty variable is as good as none. */
function given(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === undefined || value === "" ? undefined : value;
}

function readText(path: string, variable: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new RpcError("UNAVAILABLE", `${variable}: ${(cause as Error).message}`, { cause });
  }
}

function unavailable(details: string): RpcError {
  return new RpcError("UNAVAILABLE", details);
}
