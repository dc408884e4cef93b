import "reflect-metadata";
import { Extension, X509Certificate } from "@peculiar/x509";
import { z } from "zod";
import type { Bounds } from "./identity.ts";

/**
 * The certificate extension that carries the bounds of the token a process joined with, so that they hold for as long as
 * it renews, with nothing to look up and nothing to lose. Not critical: peers that don't know it pass over it.
 *
 * An arc below 2.25 (ITU-T X.667: integers there need no registration), small enough for every decoder's arithmetic.
 */
export const boundsOid = "2.25.1987305211";

// What is missing allows nothing.
const boundsSchema = z.strictObject({
  labels: z.record(z.string(), z.string()).default({}),
  anyLabel: z.boolean().default(false),
  addresses: z.array(z.string()).default([]),
});

/** The extension for `bounds`; its value is JSON. */
export function boundsExtension({ labels, anyLabel, addresses }: Bounds): Extension {
  const text = JSON.stringify({ labels, anyLabel, addresses });
  return new Extension(boundsOid, false, new TextEncoder().encode(text));
}

/**
 * The bounds in a certificate that was verified against our root. One without the extension allows nothing: it was not
 * signed for a workload that joined.
 */
export function certificateBounds(der: Uint8Array): Bounds {
  const extension = new X509Certificate(new Uint8Array(der)).getExtension(boundsOid);
  const text = extension === null ? "{}" : new TextDecoder().decode(extension.value);
  return boundsSchema.parse(JSON.parse(text));
}
