import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TlsMaterial } from "@weft/grpc/platform";

/** The names of the three files below `certificates`, for the bootstrap. */
export function certificatePaths(home: string): { certificateChain: string; privateKey: string; roots: string } {
  const current = join(home, "certificates");
  return {
    certificateChain: join(current, "cert-chain.pem"),
    privateKey: join(current, "key.pem"),
    roots: join(current, "root-cert.pem"),
  };
}

/**
 * Writes `material` so that a reader finds either the old three files or the new three: they stand in a folder of their
 * own, and one rename of a symbolic link swaps the folder. An earlier agent's are replaced in the same way.
 *
 * Three renames of three files would leave a moment in which key and certificate don't belong together.
 */
export function writeCertificates(home: string, material: TlsMaterial): void {
  const generations = generationsIn(home);
  const generation = Math.max(0, ...generations) + 1;
  const folder = `certificates.${generation}`;
  mkdirSync(join(home, folder), { mode: 0o700 });
  const write = (name: string, text: string): void => writeFileSync(join(home, folder, name), text, { mode: 0o600 });
  write("cert-chain.pem", material.certificateChainPem);
  write("key.pem", material.privateKeyPem);
  write("root-cert.pem", material.rootsPem);
  const link = join(home, "certificates.next");
  rmSync(link, { force: true });
  symlinkSync(folder, link);
  renameSync(link, join(home, "certificates"));
  // All but the previous: a reader may be half-way through that one.
  for (const old of generations) {
    if (old < generation - 1) rmSync(join(home, `certificates.${old}`), { recursive: true, force: true });
  }
}

function generationsIn(home: string): number[] {
  return readdirSync(home).flatMap((name) => {
    const digits = /^certificates\.(\d+)$/.exec(name)?.[1];
    return digits === undefined ? [] : [Number(digits)];
  });
}
