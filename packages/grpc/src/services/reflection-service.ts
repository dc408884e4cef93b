import {
  ServerReflectionDefinition,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "@weft/xds-api/grpc/reflection/v1/reflection";
import { FileSet } from "@weft/xds-api/weft/reflection/v1/names";
import { RpcError } from "../rpc/error.ts";
import { Status, type StatusName } from "../rpc/status.ts";
import type { ServiceHandlers } from "../server/handlers.ts";
import { descriptorFiles } from "./descriptor-files.ts";
import { type DescribedFile, DescriptorIndex } from "./descriptor-index.ts";
import type { DescriptorSource } from "./reflection.ts";
import type { ServiceHost } from "./service-host.ts";

type Answer = ServerReflectionResponse["messageResponse"];

/** Longer than any name that protoc takes. */
const maxNameLength = 2048;
/** Clients receive 4 MiB by default: imports beyond this are left for them to ask for. */
const maxAnswerBytes = 3 * 1024 * 1024;

/** Server reflection over `sources` and `host`'s list of services. The messages of v1 and v1alpha are the same on the wire. */
export async function reflectionService(
  host: Pick<ServiceHost, "services">,
  sources: readonly DescriptorSource[],
): Promise<{
  readonly definition: ServerReflectionDefinition;
  readonly handlers: ServiceHandlers<ServerReflectionDefinition>;
}> {
  const index = new DescriptorIndex();
  for (const source of sources) for (const file of await descriptorFiles(source)) index.add(file);
  for (const file of await ownFiles()) index.add(file);
  return {
    definition: ServerReflectionDefinition,
    handlers: {
      async *serverReflectionInfo(requests) {
        const sent = new Set<string>();
        for await (const request of requests) {
          const messageResponse = answer(host, index, sent, request.messageRequest);
          yield { validHost: request.host, originalRequest: request, messageResponse };
        }
      },
    },
  };
}

/** The services of this package describe themselves. */
async function ownFiles(): Promise<Uint8Array[]> {
  const { descriptorSet } = await import("@weft/xds-api/descriptors");
  const all = new DescriptorIndex();
  for (const file of FileSet.decode(Buffer.from(descriptorSet, "base64")).file) all.add(file);
  const own = [
    "grpc.health.v1.Health",
    "grpc.channelz.v1.Channelz",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
  ];
  const files = own.flatMap((service) => [...all.closure(all.fileOfSymbol(service)!)]);
  return files.map(({ bytes }) => bytes);
}

function answer(
  { services }: Pick<ServiceHost, "services">,
  index: DescriptorIndex,
  sent: Set<string>,
  request: ServerReflectionRequest["messageRequest"],
): Answer {
  switch (request?.$case) {
    case "fileByFilename":
      return answerFile(index, sent, request.value, `file ${quoted(request.value)}`, index.file(request.value));
    case "fileContainingSymbol":
      return answerFile(
        index,
        sent,
        request.value,
        `symbol ${quoted(request.value)}`,
        index.fileOfSymbol(request.value),
      );
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = request.value;
      const what = `extension ${extensionNumber} of ${quoted(containingType)}`;
      return answerFile(index, sent, containingType, what, index.fileOfExtension(containingType, extensionNumber));
    }
    case "allExtensionNumbersOfType": {
      const extensionNumber = index.extensionNumbers(request.value);
      if (extensionNumber === undefined) return failure("NOT_FOUND", `no message ${quoted(request.value)} here`);
      return { $case: "allExtensionNumbersResponse", value: { baseTypeName: request.value, extensionNumber } };
    }
    case "listServices": {
      const service = [...services].sort().map((name) => ({ name }));
      return { $case: "listServicesResponse", value: { service } };
    }
    default:
      throw new RpcError("INVALID_ARGUMENT", "a reflection request asks nothing that is known here");
  }
}

function failure(code: StatusName, errorMessage: string): Answer {
  return { $case: "errorResponse", value: { errorCode: Status[code], errorMessage } };
}

function quoted(name: string): string {
  return JSON.stringify(name.slice(0, 200));
}

/** The file asked for, always, and of its imports those that this stream hasn't had. */
function answerFile(
  index: DescriptorIndex,
  sent: Set<string>,
  name: string,
  what: string,
  file: DescribedFile | undefined,
): Answer {
  if (name.length > maxNameLength)
    return failure("INVALID_ARGUMENT", `a name of ${name.length} characters is too long`);
  if (file === undefined) return failure("NOT_FOUND", `no ${what} here`);
  const fileDescriptorProto: Uint8Array[] = [];
  let bytes = 0;
  for (const each of index.closure(file)) {
    if (each !== file && (sent.has(each.name) || bytes + each.bytes.length > maxAnswerBytes)) continue;
    bytes += each.bytes.length;
    sent.add(each.name);
    fileDescriptorProto.push(each.bytes);
  }
  return { $case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}
