import { typeUrls, unpack } from "@weft/xds-api";
import type { TransportSocket } from "@weft/xds-api/envoy/config/core/v3/base";
import type { CertificateValidationContext } from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/common";
import {
  type CommonTlsContext,
  DownstreamTlsContext,
  DownstreamTlsContext_OcspStaplePolicy,
  UpstreamTlsContext,
} from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/tls";
import type { StringMatch } from "../matching/string-match.ts";
import { invalid, quoted, within } from "./invalid-resource.ts";
import { parseStringMatcher } from "./matchers.ts";

/** How a client speaks TLS to a cluster (gRFC A29). Instances are names of certificate providers in the bootstrap. */
export interface UpstreamTls {
  /** Where the roots come from. */
  readonly rootsInstance: string;
  /** Where the client's own certificate comes from; absent: TLS without one. */
  readonly identityInstance?: string;
  /** The server's certificate must carry a name that one of these matches; empty: no demand beyond the chain. */
  readonly names: readonly StringMatch[];
}

/** How a server speaks TLS (gRFC A29, A36). */
export interface DownstreamTls {
  readonly identityInstance: string;
  /** Where clients' roots come from; absent: clients show no certificate. */
  readonly rootsInstance?: string;
  readonly requireClientCertificate: boolean;
}

/** What of the bootstrap a resource is checked against. */
export interface ParseEnvironment {
  /** Whether the bootstrap has a certificate provider of this name. */
  hasCertificateProvider(instance: string): boolean;
}

function contextBytes(socket: TransportSocket): NonNullable<TransportSocket["configType"]>["value"] {
  if (socket.name !== "envoy.transport_sockets.tls") invalid(`transport socket ${quoted(socket.name)} is not TLS`);
  return socket.configType?.value ?? invalid("the transport socket has no typed_config");
}

/** A cluster's transport socket. */
export function parseUpstreamTls(socket: TransportSocket, environment: ParseEnvironment): UpstreamTls {
  return within("transport_socket", () => {
    const any = contextBytes(socket);
    const context = unpack(any, typeUrls.upstreamTlsContext, UpstreamTlsContext);
    if (context === undefined) return invalid(`type ${quoted(any.typeUrl)} is not an UpstreamTlsContext`);
    const common = context.commonTlsContext ?? invalid("no common_tls_context");
    checkCommon(common);
    const validation = validationContext(common) ?? invalid("no validation context: the server would not be verified");
    const roots = rootsInstance(common, validation, environment);
    if (roots === undefined) return invalid("no ca_certificate_provider_instance: the server would not be verified");
    const identity = identityInstance(common, environment);
    const tls = { rootsInstance: roots, names: parseNames(validation) };
    return identity === undefined ? tls : { ...tls, identityInstance: identity };
  });
}

/** A filter chain's transport socket. */
export function parseDownstreamTls(socket: TransportSocket, environment: ParseEnvironment): DownstreamTls {
  return within("transport_socket", () => {
    const any = contextBytes(socket);
    const context = unpack(any, typeUrls.downstreamTlsContext, DownstreamTlsContext);
    if (context === undefined) return invalid(`type ${quoted(any.typeUrl)} is not a DownstreamTlsContext`);
    if (context.requireSni === true) invalid("require_sni is not supported");
    if (context.ocspStaplePolicy !== DownstreamTlsContext_OcspStaplePolicy.LENIENT_STAPLING) {
      invalid("ocsp_staple_policy other than LENIENT_STAPLING is not supported");
    }
    const common = context.commonTlsContext ?? invalid("no common_tls_context");
    checkCommon(common);
    const identity = identityInstance(common, environment) ?? invalid("no tls_certificate_provider_instance");
    const validation = validationContext(common);
    if (validation !== undefined && parseNames(validation).length > 0) {
      invalid("match_subject_alt_names is not supported on a server");
    }
    const roots = validation === undefined ? undefined : rootsInstance(common, validation, environment);
    const requireClientCertificate = context.requireClientCertificate === true;
    if (roots === undefined) {
      if (requireClientCertificate) invalid("require_client_certificate without ca_certificate_provider_instance");
      return { identityInstance: identity, requireClientCertificate };
    }
    return { identityInstance: identity, rootsInstance: roots, requireClientCertificate };
  });
}

function checkCommon(common: CommonTlsContext): void {
  if (common.tlsParams !== undefined) invalid("tls_params is not supported");
  if (common.customHandshaker !== undefined) invalid("custom_handshaker is not supported");
  if (common.tlsCertificateSdsSecretConfigs.length > 0) {
    invalid("tls_certificate_sds_secret_configs is not supported: certificates come from provider instances");
  }
  if (common.tlsCertificates.length > 0 && common.tlsCertificateProviderInstance === undefined) {
    invalid("tls_certificates is not supported: certificates come from provider instances");
  }
}

function validationContext(common: CommonTlsContext): CertificateValidationContext | undefined {
  const type = common.validationContextType;
  switch (type?.$case) {
    case "validationContext":
      return checkValidation(type.value);
    case "combinedValidationContext":
      if (
        type.value.validationContextSdsSecretConfig !== undefined &&
        type.value.defaultValidationContext === undefined
      ) {
        invalid("validation_context_sds_secret_config is not supported");
      }
      return type.value.defaultValidationContext && checkValidation(type.value.defaultValidationContext);
    case undefined:
      return undefined;
    case "validationContextSdsSecretConfig":
    case "validationContextCertificateProvider":
    case "validationContextCertificateProviderInstance":
      return invalid(`${type.$case} is not supported`);
  }
}

function checkValidation(validation: CertificateValidationContext): CertificateValidationContext {
  if (validation.verifyCertificateSpki.length > 0) invalid("verify_certificate_spki is not supported");
  if (validation.verifyCertificateHash.length > 0) invalid("verify_certificate_hash is not supported");
  if (validation.requireSignedCertificateTimestamp === true) {
    invalid("require_signed_certificate_timestamp is not supported");
  }
  if (validation.crl !== undefined) invalid("crl is not supported");
  if (validation.customValidatorConfig !== undefined) invalid("custom_validator_config is not supported");
  return validation;
}

function rootsInstance(
  common: CommonTlsContext,
  validation: CertificateValidationContext,
  environment: ParseEnvironment,
): string | undefined {
  const type = common.validationContextType;
  // The deprecated place is still what older control planes fill.
  const deprecated =
    type?.$case === "combinedValidationContext"
      ? type.value.validationContextCertificateProviderInstance?.instanceName
      : undefined;
  return known(validation.caCertificateProviderInstance?.instanceName ?? deprecated, environment);
}

function identityInstance(common: CommonTlsContext, environment: ParseEnvironment): string | undefined {
  const instance = common.tlsCertificateProviderInstance ?? common.tlsCertificateCertificateProviderInstance;
  return known(instance?.instanceName, environment);
}

function known(instance: string | undefined, environment: ParseEnvironment): string | undefined {
  if (instance !== undefined && !environment.hasCertificateProvider(instance)) {
    invalid(`certificate provider instance ${quoted(instance)} is not in the bootstrap`);
  }
  return instance;
}

function parseNames(validation: CertificateValidationContext): StringMatch[] {
  if (validation.matchTypedSubjectAltNames.length > 0) invalid("match_typed_subject_alt_names is not supported");
  return validation.matchSubjectAltNames.map((matcher) =>
    within("match_subject_alt_names", () => parseStringMatcher(matcher)),
  );
}
