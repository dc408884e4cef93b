import type { ServiceDefinition } from "../rpc/service-definition.ts";
import type { ServiceHandlers } from "../server/handlers.ts";

/** What this folder's services are added to: a promise server, or the grpc-js surface's. */
export interface ServiceHost {
  /** The full names of the services added so far. */
  readonly services: readonly string[];
  add<Service extends ServiceDefinition>(definition: Service, handlers: ServiceHandlers<Service>): void;
}
