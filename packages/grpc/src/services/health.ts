import type { HealthCheckRequest, HealthCheckResponse, HealthDefinition } from "@weft/xds-api/grpc/health/v1/health";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "@weft/xds-api/grpc/health/v1/health";
import { RpcError } from "../rpc/error.ts";
import type { ServerContext } from "../rpc/server-call.ts";
import type { ServiceHandlers } from "../server/handlers.ts";

/** What a service may say of itself. */
export type HealthStatus = "SERVING" | "NOT_SERVING";

/** A process's health as `grpc.health.v1.Health` tells it: `server.add(HealthDefinition, health.handlers)`. */
export interface Health {
  readonly handlers: ServiceHandlers<HealthDefinition>;
  /** Says how `service` is, "" being the whole server; watchers hear of it. After `shutDown` it changes nothing. */
  set(service: string, status: HealthStatus): void;
  /** Everything is NOT_SERVING from now on (gRPC health checking, "server shutdown"). */
  shutDown(): void;
}

/** The health of a server that is SERVING as a whole. A service that was never named is unknown. */
export function createHealth(): Health {
  const statuses = new Map<string, HealthStatus>([["", "SERVING"]]);
  const watchers = new Set<() => void>();
  let isShutDown = false;

  const set = (service: string, status: HealthStatus) => {
    if (isShutDown || statuses.get(service) === status) return;
    statuses.set(service, status);
    for (const wake of watchers) wake();
  };

  const statusOf = (service: string): HealthCheckResponse["status"] =>
    ServingStatus[statuses.get(service) ?? "SERVICE_UNKNOWN"];

  async function* watch(
    { service }: HealthCheckRequest,
    { signal }: ServerContext,
  ): AsyncGenerator<HealthCheckResponse> {
    let wake = ignore;
    const changed = () => wake();
    watchers.add(changed);
    signal.addEventListener("abort", changed, { once: true });
    try {
      let told: HealthCheckResponse["status"] | undefined;
      while (!signal.aborted) {
        const status = statusOf(service);
        if (status !== told) {
          told = status;
          yield { status };
        } else {
          // A change between the look above and this line would have been made in this turn: none can be.
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      watchers.delete(changed);
      signal.removeEventListener("abort", changed);
    }
  }

  return {
    set,
    shutDown() {
      for (const service of statuses.keys()) set(service, "NOT_SERVING");
      isShutDown = true;
    },
    handlers: {
      check({ service }) {
        if (!statuses.has(service)) throw new RpcError("NOT_FOUND", `no service named "${service}" here`);
        return { status: statusOf(service) };
      },
      watch,
    },
  };
}

function ignore(): void {
  // Nobody waits yet.
}
