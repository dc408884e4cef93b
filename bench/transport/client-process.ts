// argv: stack, order as JSON. Prints what it finds as JSON, last.
import { readCertificates } from "./certificates.ts";
import { callEach, closedLoop, halfSaturatingLoop, oneStream } from "./load.ts";
import { Recorder } from "./recorder.ts";
import { loadStack } from "./stack.ts";
import type { ClientOrder, Figures, StackName } from "./workload.ts";

const [name, orderText] = process.argv.slice(2);
const order = JSON.parse(orderText ?? "{}") as ClientOrder;
const { workload } = order;
const stack = await loadStack(name as StackName);
const certificates = readCertificates(order.certificates);

function callers(count: number, bytes = 100, bare = false) {
  const { port } = order;
  return Array.from({ length: count }, (_, connection) =>
    stack.connect({ port, certificates, bytes, bare, connection }),
  );
}

async function run(): Promise<Figures> {
  const [caller] = workload.kind === "closed" || workload.kind === "idle" ? [] : callers(1);
  switch (workload.kind) {
    case "closed": {
      const { connections, inFlight, bytes, bare } = workload;
      const recorder = new Recorder(true);
      closedLoop(callers(connections, bytes, bare), inFlight, recorder);
      const found = await recorder.watch(order);
      return { ...found, megabytesPerSecond: ((found.perSecond ?? Number.NaN) * bytes) / 1e6 };
    }
    case "open": {
      const recorder = new Recorder(true);
      await halfSaturatingLoop(caller!, order, recorder);
      return await recorder.watch(order);
    }
    case "soak": {
      const recorder = new Recorder(false);
      closedLoop([caller!], workload.inFlight, recorder);
      const found = await recorder.watch(order);
      return { ...found, rssBytes: process.memoryUsage.rss() };
    }
    case "stream":
    case "bidi": {
      const recorder = new Recorder(false);
      oneStream(caller!, workload.kind, recorder);
      return await recorder.watch(order);
    }
    case "idle":
      await callEach(callers(workload.connections), workload.callsEach);
      console.log("ready");
      // The connections stay open until this process is ended.
      await new Promise((resolve) => process.stdin.resume().on("end", resolve));
      return {};
    case "import":
      throw new Error("imports are timed by a process of their own");
  }
}

console.log(JSON.stringify(await run()));
process.exit(0);
