import type { ControlPlane } from "../control-plane/control-plane.ts";
import { channelTransport } from "./channel-transport.ts";
import { ClusterTlsCache } from "./cluster-tls.ts";
import { type Refusal, XdsClient } from "./xds-client.ts";

/** What everything xDS of one control plane shares: one client with one stream, and one set of TLS settings. */
export interface XdsPlane {
  readonly controlPlane: ControlPlane;
  readonly client: XdsClient;
  readonly tls: ClusterTlsCache;
}

const planes = new WeakMap<ControlPlane, XdsPlane>();

/** The xDS side of `controlPlane`; the same object each time. */
export function xdsPlaneOf(controlPlane: ControlPlane): XdsPlane {
  let plane = planes.get(controlPlane);
  if (plane === undefined) {
    plane = {
      controlPlane,
      client: new XdsClient({
        transport: channelTransport(controlPlane),
        environment: { hasCertificateProvider: (name) => controlPlane.certificateProvider(name) !== undefined },
        onRefusal: refusalWarner(),
      }),
      tls: new ClusterTlsCache(controlPlane),
    };
    planes.set(controlPlane, plane);
  }
  return plane;
}

/** A configuration that isn't in force is the operator's to know, also where nobody looks at the control plane; once each. */
function refusalWarner(): (refusal: Refusal) => void {
  const told = new Map<string, string>();
  return ({ typeUrl, reason }) => {
    if (told.get(typeUrl) === reason) return;
    told.set(typeUrl, reason);
    process.emitWarning(`refused what the control plane sent: ${reason}`, {
      type: "XdsWarning",
      code: "WEFT_XDS_NACK",
    });
  };
}
