// The certificate that the servers show when a pairing runs over TLS: files, because the programs of other languages read files.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tlsChannelCredentials, tlsServerCredentials } from "@weft/grpc";
import { createTestAuthority } from "../../../packages/grpc/src/identity/testing/certificates.ts";

/** What the servers' certificate is for; the clients dial 127.0.0.1 and expect this name. */
export const serverName = "interop.weft.test";

export interface TlsFiles {
  readonly folder: string;
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Makes an authority and a server certificate, in a folder of their own under the system's temporary one. */
export async function createTlsFiles(): Promise<TlsFiles> {
  const authority = await createTestAuthority();
  const leaf = await authority.issue({ dns: [serverName] });
  const folder = mkdtempSync(join(tmpdir(), "weft-interop-"));
  const write = (name: string, text: string) => {
    const file = join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  return {
    folder,
    caFile: write("ca.pem", authority.rootPem),
    certificateFile: write("server.pem", leaf.certificateChainPem),
    keyFile: write("server.key", leaf.privateKeyPem),
  };
}

/** What our channel is told to trust a server of these files. */
export function channelCredentials(caFile: string | undefined) {
  if (caFile === undefined) return {};
  return {
    authority: serverName,
    credentials: tlsChannelCredentials({ rootsPem: readFileSync(caFile, "utf8"), serverName }),
  };
}

/** What our server is told to show these files. */
export function serverCredentials(certificateFile: string | undefined, keyFile: string | undefined) {
  if (certificateFile === undefined || keyFile === undefined) return {};
  const keyPair = {
    privateKeyPem: readFileSync(keyFile, "utf8"),
    certificateChainPem: readFileSync(certificateFile, "utf8"),
  };
  return { credentials: tlsServerCredentials({ keyPair }) };
}
