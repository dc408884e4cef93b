import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Diagnostic, errorAbout } from "../model/diagnostic.ts";

const credential = z.strictObject({
  url: z.string().regex(/^http:\/\/(127\.0\.0\.1|\[::1\]):\d{1,5}$/),
  token: z.string().min(32),
  pid: z.int().positive(),
  version: z.string(),
});

/** How the CLI of the same user reaches a running control plane. */
export type AdminCredential = z.infer<typeof credential>;

/** Where a control plane with this data directory leaves its credential. */
export function credentialPath(dataDirectory: string): string {
  return join(dataDirectory, "admin.json");
}

/** A secret of 256 bits. */
export function newAdminToken(): string {
  return randomBytes(32).toString("base64url");
}

/** Writes the credential, 0600 and whole: who reads the file sees all of it or what was there before. */
export function writeCredential(dataDirectory: string, value: AdminCredential): void {
  const path = credentialPath(dataDirectory);
  const draft = `${path}.${process.pid}.tmp`;
  rmSync(draft, { force: true });
  const file = openSync(draft, "wx", 0o600);
  try {
    writeSync(file, `${JSON.stringify(value, null, 2)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}

/** Takes the credential away, unless another control plane has put its own there meanwhile. */
export function removeCredential(dataDirectory: string, token: string): void {
  const found = readCredential(dataDirectory);
  if ("token" in found && found.token === token) rmSync(credentialPath(dataDirectory), { force: true });
}

/** The credential of a data directory, or why there is none to use. */
export function readCredential(dataDirectory: string): AdminCredential | Diagnostic {
  const path = credentialPath(dataDirectory);
  try {
    const { mode, uid } = statSync(path);
    if ((mode & 0o077) !== 0) {
      return errorAbout("WEFT0510", `${path} can be read by other users, so it proves nothing`, {
        file: path,
        hint: `chmod 600 ${path}, and restart the control plane for a new one`,
      });
    }
    if (process.getuid !== undefined && uid !== process.getuid()) {
      return errorAbout("WEFT0510", `${path} belongs to another user`, { file: path, hint: "run as that user" });
    }
    const parsed = credential.safeParse(JSON.parse(readFileSync(path, "utf8")));
    if (parsed.success) return parsed.data;
    return errorAbout("WEFT0510", `${path} is not a control plane's credential`, {
      file: path,
      hint: "restart the control plane, which writes a new one",
    });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") {
      return errorAbout("WEFT0509", `no control plane runs with the data directory ${dataDirectory}`, {
        file: path,
        hint: `start one: weft up --data ${dataDirectory}, or name the right directory with --data`,
      });
    }
    const reason = error instanceof Error ? error.message : String(error);
    return errorAbout("WEFT0510", `${path} can't be read: ${reason}`, { file: path });
  }
}
