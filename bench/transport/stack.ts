import type { Certificates } from "./certificates.ts";
import type { StackName } from "./workload.ts";

/** How a client connects. */
export interface ConnectOptions {
  readonly port: number;
  readonly certificates: Certificates | undefined;
  /** The length of each message. */
  readonly bytes: number;
  /** Without metadata and deadline; the server's handler reads nothing either. */
  readonly bare: boolean;
  /** Callers of different numbers have connections of their own. */
  readonly connection: number;
}

/**
 * One client. Unless it is bare each call is the realistic one: a 10 s deadline, a token and a unique request id as
 * metadata; the server's handler is async and reads both.
 */
export interface Caller {
  call(onReply: () => void, onError: (error: Error) => void): void;
  /** Opens one server-streaming call; returns how to end it. */
  stream(onMessage: () => void, onError: (error: Error) => void): () => void;
  /** Opens one bidirectional call with one message in flight; returns how to end it. */
  pingPong(onMessage: () => void, onError: (error: Error) => void): () => void;
}

/** What a stack under test provides. */
export interface Stack {
  /** Listens on a free loopback port, which it returns. The process is ended afterwards. */
  serve(certificates: Certificates | undefined): Promise<number>;
  connect(options: ConnectOptions): Caller;
}

/** The stacks that run in Node; imports the one that is named, and nothing of the others. */
export async function loadStack(name: StackName): Promise<Stack> {
  switch (name) {
    case "weft":
      return (await import("./stacks/weft.ts")).weft;
    case "weft-stubs": {
      const [{ stubs }, grpc] = await Promise.all([import("./stacks/stubs.ts"), import("@weft/grpc/grpc-js")]);
      return stubs(grpc);
    }
    case "grpc-js": {
      const [{ stubs }, grpc] = await Promise.all([import("./stacks/stubs.ts"), import("@grpc/grpc-js")]);
      return stubs(grpc);
    }
    case "raw":
      return (await import("./stacks/raw.ts")).raw;
    case "grpc-go":
      throw new Error("grpc-go is a program of its own");
  }
}
