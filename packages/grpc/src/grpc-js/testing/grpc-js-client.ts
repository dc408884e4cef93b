import {
  type CallOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import { bytesService } from "./bytes-service.ts";

const same = (bytes: Buffer) => bytes;

/** What a call came to. */
export interface Outcome {
  readonly messages: readonly Buffer[];
  readonly headers: Metadata | undefined;
  readonly status: StatusObject;
}

/** An unmodified grpc-js client of `bytesService`. */
export class BytesClient implements AsyncDisposable {
  readonly client: Client;

  constructor(client: Client) {
    this.client = client;
  }

  static plaintext(address: string): BytesClient {
    return new BytesClient(new Client(address, credentials.createInsecure()));
  }

  unary(request: Buffer, options: CallOptions = {}, metadata = new Metadata()): Promise<Outcome> {
    return new Promise((resolve) => {
      const messages: Buffer[] = [];
      let headers: Metadata | undefined;
      const done = (_error: ServiceError | null, response?: Buffer) => {
        if (response !== undefined) messages.push(response);
      };
      this.client
        .makeUnaryRequest(bytesService.unary.path, same, same, request, metadata, options, done)
        .on("metadata", (received) => {
          headers = received;
        })
        .on("status", (status) => setImmediate(() => resolve({ messages, headers, status })));
    });
  }

  collect(options: CallOptions = {}): { call: ClientWritableStream<Buffer>; outcome: Promise<Outcome> } {
    const messages: Buffer[] = [];
    const call = this.client.makeClientStreamRequest(
      bytesService.collect.path,
      same,
      same,
      new Metadata(),
      options,
      (_error: ServiceError | null, response?: Buffer) => {
        if (response !== undefined) messages.push(response);
      },
    );
    const outcome = new Promise<Outcome>((resolve) => {
      call.on("status", (status) => setImmediate(() => resolve({ messages, headers: undefined, status })));
    });
    return { call, outcome };
  }

  expand(request: Buffer, options: CallOptions = {}, metadata = new Metadata()): ClientReadableStream<Buffer> {
    return this.client.makeServerStreamRequest(bytesService.expand.path, same, same, request, metadata, options);
  }

  chat(options: CallOptions = {}): ClientDuplexStream<Buffer, Buffer> {
    return this.client.makeBidiStreamRequest(bytesService.chat.path, same, same, new Metadata(), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
  }
}

/** Everything that comes out of `call`, once it ended. */
export function outcomeOf(call: ClientReadableStream<Buffer> | ClientDuplexStream<Buffer, Buffer>): Promise<Outcome> {
  return new Promise((resolve) => {
    const messages: Buffer[] = [];
    let headers: Metadata | undefined;
    call
      .on("data", (message: Buffer) => messages.push(message))
      .on("metadata", (received: Metadata) => {
        headers = received;
      })
      .on("error", () => {
        // Its status comes as an event of its own.
      })
      .on("status", (status: StatusObject) => setImmediate(() => resolve({ messages, headers, status })));
  });
}
