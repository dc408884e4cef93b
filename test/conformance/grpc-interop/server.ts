// `node server.ts <stack> [certificate file] [key file]`: serves the test service on a free loopback port, prints it, and
// ends with standard input.
import { createPromiseServer } from "./promise-server.ts";
import { grpcModule, type Stack } from "./stack.ts";
import { startStubServer } from "./stub-server.ts";

const [stack, certificateFile, keyFile] = process.argv.slice(2) as [Stack, ...string[]];

async function listen(): Promise<number> {
  if (stack === "promise") {
    const { port } = await createPromiseServer(certificateFile, keyFile).listen("127.0.0.1:0");
    return port;
  }
  return (await startStubServer(await grpcModule(stack), certificateFile, keyFile)).port;
}

process.stdin.resume().on("end", () => process.exit(0));
console.log(await listen());
