import type { X509Certificate } from "node:crypto";
import { RpcError, type SpiffeId, workloadSpiffeId } from "@weft/grpc/platform";
import { certificateBounds } from "./bounds-extension.ts";
import type { Identity } from "./identity.ts";
import { joinTokenHash, parseJoinToken, sameHash } from "./join-token.ts";
import { type TokenRecord, tokenProblem } from "./token-record.ts";

/** A token as the store has it. */
export interface KnownToken {
  readonly id: string;
  readonly secretHash: string;
  readonly record: TokenRecord;
}

export interface AuthenticatorOptions {
  readonly trustDomain: string;
  readonly findToken: (secretHash: string) => KnownToken | undefined;
  readonly nowMs: () => number;
  /**
   * Whether the call asks for a certificate, which is the one thing that a token whose uses are counted is good for: any
   * other call would be in without taking a use. Who may have the certificate is `useToken`'s to say. Default false.
   */
  readonly joins?: boolean;
}

/** What the transport and the call say about the caller. */
export interface Credentials {
  /** The `authorization` metadata. */
  readonly authorization: string | undefined;
  /** The peer's SPIFFE id and certificate, after TLS verified the chain to our root. */
  readonly peer: { readonly id: SpiffeId; readonly certificate: X509Certificate } | undefined;
}

/**
 * Who is calling. The certificate counts first; a join token is for those who have none yet.
 *
 * Throws RpcError UNAUTHENTICATED, with a reason that gives away nothing but what the caller sent.
 */
export function authenticate(credentials: Credentials, options: AuthenticatorOptions): Identity {
  const { peer, authorization } = credentials;
  if (peer !== undefined) return certificateIdentity(peer, options.trustDomain);
  if (authorization === undefined) {
    throw new RpcError("UNAUTHENTICATED", "a join token or a client certificate is required");
  }
  return tokenIdentity(authorization, options);
}

function certificateIdentity(peer: NonNullable<Credentials["peer"]>, trustDomain: string): Identity {
  const { id, certificate } = peer;
  if (id.workload === undefined || id.trustDomain !== trustDomain) {
    throw new RpcError("UNAUTHENTICATED", `${id.uri} is not a workload of trust domain ${trustDomain}`);
  }
  return {
    spiffeId: id.uri,
    trustDomain,
    ...id.workload,
    ...certificateBounds(certificate.raw),
    proof: { kind: "certificate", serialNumber: certificate.serialNumber },
  };
}

function tokenIdentity(authorization: string, options: AuthenticatorOptions): Identity {
  const { findToken, nowMs, trustDomain, joins = false } = options;
  const text = /^Bearer (\S+)$/i.exec(authorization)?.[1];
  const token = text === undefined ? undefined : parseJoinToken(text);
  if (token === undefined) throw new RpcError("UNAUTHENTICATED", "the bearer credential is not a join token");
  const hash = joinTokenHash(token);
  const known = findToken(hash);
  if (known === undefined || !sameHash(known.secretHash, hash)) {
    throw new RpcError("UNAUTHENTICATED", "the join token is unknown here, or was revoked");
  }
  const problem = tokenProblem(known.record, nowMs());
  if (problem !== undefined) throw new RpcError("UNAUTHENTICATED", problem);
  const { namespace, serviceAccount, labels, anyLabel, addresses, usesLeft } = known.record;
  if (usesLeft !== undefined && !joins) {
    const message = "the join token's uses are counted: it is for CreateCertificate, whose answer is for this";
    throw new RpcError("UNAUTHENTICATED", message);
  }
  return {
    spiffeId: workloadSpiffeId(trustDomain, namespace, serviceAccount).uri,
    trustDomain,
    namespace,
    serviceAccount,
    labels,
    anyLabel,
    addresses,
    proof: { kind: "token", tokenId: known.id },
  };
}
