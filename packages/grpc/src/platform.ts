/**
 * What the control plane, agent and CLI of this project need beyond the public entry: identity, TLS and listening as
 * parts. Not for applications; changes without notice.
 */

export { type Clock, systemClock } from "./clock.ts";
export type { ControlPlane, ControlPlaneStatus, RegistrationAccess } from "./control-plane/control-plane.ts";
export { createControlPlane } from "./control-plane/create-control-plane.ts";
export { processControlPlane } from "./control-plane/process-control-plane.ts";
export { type ControlPlaneSettings, readSettings } from "./control-plane/settings.ts";
export type { TlsClientSettings, TlsServerSettings, Trust } from "./identity/credentials.ts";
export { type CertificateRequest, createCertificateRequest } from "./identity/csr.ts";
export { FileSource, type FileSourceOptions } from "./identity/file-source.ts";
export type { IdentitySource, SourceStatus, TlsMaterial, TrustSource } from "./identity/material.ts";
export {
  type AllowedSpiffeIds,
  certificateSpiffeId,
  type PeerVerdict,
  type PeerVerification,
  type SubjectAltName,
  subjectAltNames,
  verifyPeer,
  verifySpiffePeer,
} from "./identity/peer-verification.ts";
export { leafOf, parseCertificates, tlsMaterial } from "./identity/pem.ts";
export { type CertificateSigner, RotatingSource, type RotatingSourceOptions } from "./identity/rotating-source.ts";
export { firstMaterial } from "./identity/source-ready.ts";
export { parseSpiffeId, type SpiffeId, workloadSpiffeId } from "./identity/spiffe.ts";
export { staticIdentity, staticRoots } from "./identity/static-source.ts";
export { TlsError } from "./identity/tls-error.ts";
export * from "./index.ts";
export { type RegisteredListener, RegistrySession } from "./registration/registry-session.ts";
export { parseListenAddress } from "./server/listen-address.ts";
export {
  type BoundAddress,
  fixedListeningPolicy,
  type ListeningMode,
  type ListeningPolicy,
  type ListeningPolicyFactory,
} from "./server/listening-policy.ts";
export { Backoff } from "./subchannel/backoff.ts";
