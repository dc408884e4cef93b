import { type getChannelzHandlers, getChannelzServiceDefinition, type MethodDefinition } from "@grpc/grpc-js";
import { RpcError } from "../rpc/error.ts";
import type { ServiceDefinition } from "../rpc/service-definition.ts";
import type { ServiceHandlers } from "../server/handlers.ts";
import { createChannelz } from "../services/channelz.ts";

type Answer = (request: Uint8Array) => Promise<Uint8Array>;

const answers = answersByName();

/**
 * What our channelz answers to `request`; both are messages as grpc-js's own definition of the service has them. They go
 * through their bytes, so that names, enums and 64-bit numbers come out exactly as that definition makes them.
 */
export async function channelzAnswer(
  method: keyof ReturnType<typeof getChannelzHandlers>,
  request: unknown,
): Promise<unknown> {
  const definition = getChannelzServiceDefinition()[method] as MethodDefinition<unknown, unknown>;
  try {
    const bytes = await answers[method]!(definition.requestSerialize(request));
    return definition.responseDeserialize(Buffer.from(bytes));
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    throw Object.assign(new Error(error.message), { code: error.status, details: error.details });
  }
}

/** Our channelz by the methods' names, from bytes to bytes: that is what it adds to a server. */
function answersByName(): Readonly<Record<string, Answer>> {
  const added: Record<string, Answer> = {};
  createChannelz().addTo({
    services: [],
    add<Service extends ServiceDefinition>(_definition: Service, handlers: ServiceHandlers<Service>) {
      for (const [name, answer] of Object.entries(handlers)) {
        added[name.charAt(0).toUpperCase() + name.slice(1)] = answer as Answer;
      }
    },
  });
  return added;
}
