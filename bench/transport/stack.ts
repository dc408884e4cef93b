// What a stack under test provides. `call` is the realistic unary call of the bench: a 10 s deadline, a token and a unique
// request id as metadata; the server's handler is async and reads both.
export interface Caller {
  call(done: (error: Error | null) => void): void;
  close(): void;
}

export interface Stack {
  readonly name: string;
  /** Listens on a free loopback port, which it returns. The process is killed afterwards. */
  serve(): Promise<number>;
  connect(port: number): Promise<Caller>;
}

export async function loadStack(name: string): Promise<Stack> {
  switch (name) {
    case "weft":
      return (await import("./stacks/weft.ts")).weft;
    case "grpc-js":
      return (await import("./stacks/grpc-js.ts")).grpcJs;
    default:
      throw new Error(`no stack is called ${name}`);
  }
}
