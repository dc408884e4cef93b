/**
 * The wire vocabulary of xDS: type URLs, resource names, and how a message is made and packed.
 *
 * The generated messages are imported by path (`@weft/xds-api/envoy/config/route/v3/route`), so that nobody pays for
 * those that they don't use. Pure: no I/O.
 */
export { type MessageType, message, pack, unpack } from "./any.ts";
export {
  clusterName,
  inboundListenerName,
  inboundListenerNamePrefix,
  inboundListenerNameTemplate,
  interfaceClusterName,
  type ParsedClusterName,
  parseClusterName,
  parseInboundListenerName,
  parseRouteName,
  routeName,
} from "./resource-names.ts";
export { shortTypeName, type TypeUrl, typeUrls } from "./type-urls.ts";
