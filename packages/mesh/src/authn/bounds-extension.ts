import "reflect-metadata";
import { Extension, X509Certificate } from "@peculiar/x509";
import { z } from "zod";
import type { Bounds } from "./identity.ts";

/**
 * The certificate extension that carries the bounds of the token a process joined with, so that they hold for as long as
 * it renews, with nothing to look up and nothing to lose. Not critical: peers that don't know it pass over it.
 *
 * An arc of its own below 2.25 (ITU-T X.667: UUIDs as object identifiers need no registration).
 */
export const boundsOid = "2.25.219843261370298715532440158721399104261";

// The library reads an arc of 128 bits back in a spelling of its own; this is that spelling.
const boundsTypeAsRead = new Extension(new Extension(boundsOid, false, new Uint8Array(0)).rawData).type;

const boundsSchema = z.strictObject({
  labels: z.record(z.string(), z.string()).optional(),
  addresses: z.array(z.string()).optional(),
});

/** The extension for `bounds`; its value is JSON. */
export function boundsExtension(bounds: Bounds): Extension {
  const text = JSON.stringify({ labels: bounds.labels, addresses: bounds.addresses });
  return new Extension(boundsOid, false, new TextEncoder().encode(text));
}

/**
 * The bounds in a certificate that was verified against our root. One without the extension allows no labels: it was
 * not signed for a workload that joined.
 */
export function certificateBounds(der: Uint8Array): Bounds {
  const extension = new X509Certificate(new Uint8Array(der)).extensions.find(({ type }) => type === boundsTypeAsRead);
  if (extension === undefined) return { labels: {} };
  return boundsSchema.parse(JSON.parse(new TextDecoder().decode(extension.value)));
}
