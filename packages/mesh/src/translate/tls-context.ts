import { message } from "@weft/xds-api";
import {
  CertificateProviderPluginInstance,
  CertificateValidationContext,
} from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/common";
import {
  CommonTlsContext,
  CommonTlsContext_CombinedCertificateValidationContext,
} from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/tls";
import { StringMatcher } from "@weft/xds-api/envoy/type/matcher/v3/string";

/** The one name that Go, Java and Node take. */
export const tlsTransportSocketName = "envoy.transport_sockets.tls";

/**
 * Certificates and roots from the bootstrap's provider instance `default`, and whom to accept: exactly these SPIFFE ids,
 * or with none anyone whose chain ends in the roots (a server's side).
 *
 * Only the fields that gRFC A29 ended with: older spellings of the same are not read by all languages.
 */
export function commonTlsContext(spiffeIds: readonly string[]): CommonTlsContext {
  const validation = message(CertificateValidationContext, {
    caCertificateProviderInstance: message(CertificateProviderPluginInstance, {
      instanceName: "default",
      certificateName: "ROOTCA",
    }),
    matchSubjectAltNames: spiffeIds.map((value) => message(StringMatcher, { matchPattern: { $case: "exact", value } })),
  });
  return message(CommonTlsContext, {
    tlsCertificateProviderInstance: message(CertificateProviderPluginInstance, {
      instanceName: "default",
      certificateName: "default",
    }),
    validationContextType: {
      $case: "combinedValidationContext",
      value: message(CommonTlsContext_CombinedCertificateValidationContext, { defaultValidationContext: validation }),
    },
  });
}
