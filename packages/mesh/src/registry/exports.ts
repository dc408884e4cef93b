import { type Exports, type Listener, Listener_State } from "@weft/xds-api/weft/registry/v1/registry";
import type { ListenerState, WorkloadListener } from "../model/workload.ts";
import { interfaceNameRefusal, isInfrastructure, type Refusal, refusal } from "./interface-names.ts";
import type { RegistryLimits } from "./limits.ts";

/** What is left of an Exports message, and what of it was refused. */
export interface ReadExports {
  readonly listeners: readonly WorkloadListener[];
  readonly refusals: readonly Refusal[];
}

const states: Readonly<Record<number, ListenerState>> = {
  [Listener_State.STARTING]: "STARTING",
  [Listener_State.SERVING]: "SERVING",
  [Listener_State.NOT_SERVING]: "NOT_SERVING",
};
const portName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const boundAddress = /^(\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.]{2,45}\]):(\d{1,5})$/;

/**
 * The listeners of an Exports message, or the one reason to refuse all of it. `interfaceRefusal` judges the names whose
 * form is right. An interface that is refused is left out and the rest stands; a malformed listener spoils the whole
 * message, because half of what a process said is nothing that it said.
 */
export function readExports(
  exports: Exports,
  limits: RegistryLimits,
  interfaceRefusal: (name: string) => Refusal | undefined,
): ReadExports | Refusal {
  if (exports.listeners.length > limits.listeners) {
    return refusal("WEFT0202", "", `more than ${limits.listeners} listeners`);
  }
  const names = exports.listeners.reduce((count, listener) => count + listener.interfaces.length, 0);
  if (names > limits.interfaces) return refusal("WEFT0202", "", `more than ${limits.interfaces} interfaces`);

  const listeners: WorkloadListener[] = [];
  const refusals: Refusal[] = [];
  const ports = new Set<number>();
  for (const listener of exports.listeners) {
    const problem = listenerProblem(listener, ports);
    if (problem !== undefined) return refusal("WEFT0202", listener.portName, problem);
    ports.add(listener.port);
    const interfaces: string[] = [];
    for (const name of new Set(listener.interfaces)) {
      if (isInfrastructure(name)) continue;
      const refused = interfaceNameRefusal(name) ?? interfaceRefusal(name);
      if (refused === undefined) interfaces.push(name);
      else refusals.push(refused);
    }
    listeners.push({
      portName: listener.portName,
      port: listener.port,
      boundAddress: listener.boundAddress,
      state: states[listener.state] ?? "NOT_SERVING",
      interfaces: interfaces.sort(),
    });
  }
  return { listeners, refusals };
}

function listenerProblem(listener: Listener, ports: ReadonlySet<number>): string | undefined {
  if (!portName.test(listener.portName)) return "a port's name is one lower-case DNS label";
  if (listener.port < 1 || listener.port > 65_535) return `${listener.port} is not a port`;
  if (ports.has(listener.port)) return `port ${listener.port} is listed twice`;
  const bound = boundAddress.exec(listener.boundAddress);
  if (bound === null || Number(bound[2]) !== listener.port) {
    return `the bound address is an IP address with port ${listener.port}, such as 0.0.0.0:${listener.port}`;
  }
  if (states[listener.state] === undefined) return "the state is missing";
  return undefined;
}
