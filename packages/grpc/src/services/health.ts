import { addDeferredService } from "./deferred-service.ts";
import type { ServiceHost } from "./service-host.ts";

/** What a service may say of itself. */
export type HealthStatus = "SERVING" | "NOT_SERVING" | "UNKNOWN";

/** A process's health as `grpc.health.v1.Health` tells it. */
export interface Health {
  /** Serves it on `server`. May be called for several servers, which then tell the same. */
  addTo(server: ServiceHost): void;
  /** Says how `service` is, "" being the whole server; watchers hear of it. After `shutDown` it changes nothing. */
  set(service: string, status: HealthStatus): void;
  /** Everything is NOT_SERVING from now on (gRPC health checking, "server shutdown"). */
  shutDown(): void;
}

/** What services have said of themselves, and who wants to hear of changes. */
export interface HealthRecord {
  readonly statuses: ReadonlyMap<string, HealthStatus>;
  /** Called after each change of a status. */
  readonly watchers: Set<() => void>;
}

/**
 * The health of a server that is SERVING as a whole. A service that was never named is unknown.
 *
 * ```ts
 * const health = createHealth();
 * health.addTo(server);
 * health.set("greet.v1.Greeter", "SERVING");
 * ```
 */
export function createHealth(): Health {
  const statuses = new Map<string, HealthStatus>([["", "SERVING"]]);
  const watchers = new Set<() => void>();
  let isShutDown = false;

  const set = (service: string, status: HealthStatus) => {
    if (isShutDown || statuses.get(service) === status) return;
    statuses.set(service, status);
    for (const wake of [...watchers]) wake();
  };

  return {
    addTo(server) {
      addDeferredService(server, {
        fullName: "grpc.health.v1.Health",
        methods: { Check: {}, List: {}, Watch: { responseStream: true } },
        load: async () => (await import("./health-service.ts")).healthService({ statuses, watchers }),
      });
    },
    set,
    shutDown() {
      for (const service of statuses.keys()) set(service, "NOT_SERVING");
      isShutDown = true;
    },
  };
}
