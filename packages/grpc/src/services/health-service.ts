import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "@weft/xds-api/grpc/health/v1/health";
import { RpcError } from "../rpc/error.ts";
import type { ServerContext } from "../rpc/server-call.ts";
import type { ServiceHandlers } from "../server/handlers.ts";
import type { HealthRecord } from "./health.ts";

/** As many services as one List may answer (health.proto, "List"). */
const maxListed = 100;

/** `grpc.health.v1.Health` over what `record` holds. */
export function healthService(record: HealthRecord): {
  readonly definition: HealthDefinition;
  readonly handlers: ServiceHandlers<HealthDefinition>;
} {
  const { statuses } = record;
  return {
    definition: HealthDefinition,
    handlers: {
      check({ service }) {
        if (!statuses.has(service)) {
          throw new RpcError("NOT_FOUND", `no service named ${JSON.stringify(service.slice(0, 200))} here`);
        }
        return { status: statusOf(record, service) };
      },
      list() {
        if (statuses.size > maxListed) {
          throw new RpcError(
            "RESOURCE_EXHAUSTED",
            `there are ${statuses.size} services, and ${maxListed} can be listed`,
          );
        }
        const listed = [...statuses.keys()].map((service) => [service, { status: statusOf(record, service) }]);
        return { statuses: Object.fromEntries(listed) as Record<string, HealthCheckResponse> };
      },
      watch: (request, context) => watch(record, request, context),
    },
  };
}

function statusOf({ statuses }: HealthRecord, service: string): HealthCheckResponse["status"] {
  return ServingStatus[statuses.get(service) ?? "SERVICE_UNKNOWN"];
}

/** The status now and after each change. Changes faster than the caller reads are told as the last of them. */
async function* watch(
  record: HealthRecord,
  { service }: HealthCheckRequest,
  { signal }: ServerContext,
): AsyncGenerator<HealthCheckResponse> {
  let wake = ignore;
  const changed = () => wake();
  record.watchers.add(changed);
  signal.addEventListener("abort", changed, { once: true });
  try {
    let told: HealthCheckResponse["status"] | undefined;
    while (!signal.aborted) {
      const status = statusOf(record, service);
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
    record.watchers.delete(changed);
    signal.removeEventListener("abort", changed);
  }
}

function ignore(): void {
  // Nobody waits yet.
}
