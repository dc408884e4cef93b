import { message } from "@weft/xds-api";
import { OrcaLoadReport } from "@weft/xds-api/xds/data/orca/v3/orca_load_report";

/** An ORCA report as it goes over the wire. */
export function encodeLoadReport(report: Partial<OrcaLoadReport>): Uint8Array {
  return OrcaLoadReport.encode(message(OrcaLoadReport, report)).finish();
}
