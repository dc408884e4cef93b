import * as grpc from "@grpc/grpc-js";
import { channelFactory } from "./channel.ts";

/** grpc-js's Client with our channel, unless its options bring another. */
export class Client extends grpc.Client {
  constructor(address: string, credentials: grpc.ChannelCredentials, options?: grpc.ClientOptions) {
    super(address, credentials, withOurChannel(options));
  }
}

/** As grpc-js's, its clients on our channel. */
export function makeClientConstructor(
  ...definition: Parameters<typeof grpc.makeClientConstructor>
): grpc.ServiceClientConstructor {
  return onOurChannel(grpc.makeClientConstructor(...definition));
}

/** As grpc-js's, its clients on our channel. */
export function loadPackageDefinition(...definition: Parameters<typeof grpc.loadPackageDefinition>): grpc.GrpcObject {
  return moved(grpc.loadPackageDefinition(...definition));
}

function moved(object: grpc.GrpcObject): grpc.GrpcObject {
  const result: grpc.GrpcObject = {};
  for (const [name, entry] of Object.entries(object)) {
    if (isConstructor(entry)) result[name] = onOurChannel(entry);
    else result[name] = "format" in entry ? entry : moved(entry as grpc.GrpcObject);
  }
  return result;
}

function onOurChannel(original: grpc.ServiceClientConstructor): grpc.ServiceClientConstructor {
  return class extends original {
    constructor(address: string, credentials: grpc.ChannelCredentials, options?: grpc.ClientOptions) {
      super(address, credentials, withOurChannel(options));
    }
  };
}

function isConstructor(entry: grpc.GrpcObject[string]): entry is grpc.ServiceClientConstructor {
  return typeof entry === "function";
}

function withOurChannel(options: grpc.ClientOptions = {}): grpc.ClientOptions {
  if (options.channelOverride !== undefined || options.channelFactoryOverride !== undefined) return options;
  return { ...options, channelFactoryOverride: channelFactory };
}
