import { ServerCredentials } from "@grpc/grpc-js";

/**
 * Credentials of a server whose security the control plane decides, live: plaintext or mTLS by its PeerAuthentication.
 * `fallback` holds where it names none.
 */
export class XdsServerCredentials extends ServerCredentials {
  readonly fallback: ServerCredentials;

  constructor(fallback: ServerCredentials) {
    super(null);
    this.fallback = fallback;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ServerCredentials): boolean {
    return other instanceof XdsServerCredentials && other.fallback._equals(this.fallback);
  }
}
