import { ChannelCredentials } from "@grpc/grpc-js";

/**
 * Credentials of a channel whose security the control plane decides for each cluster: plaintext or mTLS by its
 * DestinationRule. `fallback` holds where it names none, and for targets without the `xds:` scheme.
 */
export class XdsChannelCredentials extends ChannelCredentials {
  readonly fallback: ChannelCredentials;

  constructor(fallback: ChannelCredentials) {
    super();
    this.fallback = fallback;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return other instanceof XdsChannelCredentials && other.fallback._equals(this.fallback);
  }

  override _createSecureConnector(
    ...inputs: Parameters<ChannelCredentials["_createSecureConnector"]>
  ): ReturnType<ChannelCredentials["_createSecureConnector"]> {
    return this.fallback._createSecureConnector(...inputs);
  }
}
