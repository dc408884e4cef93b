import type { DiagnosticCode } from "../model/diagnostic-codes.ts";
import { isInterfaceName, isReservedInterface } from "../model/interface-name.ts";

/** Why something a workload said is not taken. */
export interface Refusal {
  readonly code: DiagnosticCode;
  /** The interface or port it is about; empty for the whole message. */
  readonly subject: string;
  readonly reason: string;
}

const longestName = 255;

// Every gRPC server has these and none means to be called by them: they are left out rather than refused.
const infrastructure = [/^grpc\.health\./, /^grpc\.reflection\./, /^grpc\.channelz\./, /^envoy\.service\.status\./];

/** Whether `name` is one of the services that servers carry for tools, which no client discovers by interface. */
export function isInfrastructure(name: string): boolean {
  return infrastructure.some((pattern) => pattern.test(name));
}

/** Why `name` can't be any workload's interface, or undefined where its form allows it. */
export function interfaceNameRefusal(name: string): Refusal | undefined {
  if (!isInterfaceName(name)) {
    return refusal("WEFT0205", name, "an interface's name is a protobuf full name such as greet.v1.Greeter");
  }
  // Case is no way around it: a name that differs from a reserved one in case only is there to be mistaken for it.
  if (!isReservedInterface(name.toLowerCase())) return undefined;
  return refusal("WEFT0206", name, `names that begin with ${name.split(".")[0]}. are reserved`);
}

/** A refusal about `subject`, which is cut to a length fit for messages and logs. */
export function refusal(code: DiagnosticCode, subject: string, reason: string): Refusal {
  return { code, subject: subject.slice(0, longestName), reason };
}
