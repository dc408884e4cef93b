import fc from "fast-check";
import { expect, test } from "vitest";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { Workload } from "../model/workload.ts";
import { type MeshUpdate, openSources, type Sources } from "./sources.ts";
import { rule, service, Workspace } from "./testing/workspace.ts";

type Event =
  | { readonly kind: "write"; readonly file: string; readonly text: string }
  | { readonly kind: "remove"; readonly file: string }
  | { readonly kind: "apply"; readonly text: string }
  | { readonly kind: "delete"; readonly resource: string; readonly name: string }
  | { readonly kind: "workloads"; readonly uids: readonly string[] }
  | { readonly kind: "look" }
  | { readonly kind: "restart" };

const hosts = ["a", "b"] as const;
const good = fc.oneof(
  fc
    .record({ host: fc.constantFrom(...hosts), port: fc.constantFrom(1, 2) })
    .map(({ host, port }) => service(host, port)),
  fc
    .record({ host: fc.constantFrom(...hosts), mode: fc.constantFrom("DISABLE", "ISTIO_MUTUAL") })
    .map(({ host, mode }) => rule(host, mode)),
);
const goodText = fc.array(good, { maxLength: 3 }).map((documents) => documents.join("---\n"));
const brokenText = fc.constantFrom(
  rule("a", "SOMETIMES"),
  "{ broken: [",
  `${service("a", 1)}---\n${rule("b", "SOMETIMES")}`,
);
const file = fc.constantFrom("one.yaml", "two.yaml", "deep/three.yaml");
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constant("write" as const),
    file,
    text: fc.oneof({ weight: 3, arbitrary: goodText }, brokenText),
  }),
  fc.record({ kind: fc.constant("remove" as const), file }),
  fc.record({ kind: fc.constant("apply" as const), text: fc.oneof(good, brokenText) }),
  fc.record({
    kind: fc.constant("delete" as const),
    resource: fc.constantFrom("Service", "DestinationRule"),
    name: fc.constantFrom(...hosts),
  }),
  fc.record({ kind: fc.constant("workloads" as const), uids: fc.subarray(["x", "y", "z"]) }),
  fc.constant({ kind: "look" as const }),
  fc.constant({ kind: "restart" as const }),
);

function workload(uid: string, index: number): Workload {
  return {
    uid,
    nodeId: uid,
    namespace: "shop",
    serviceAccount: "default",
    spiffeId: "spiffe://cluster.local/ns/shop/sa/default",
    labels: { app: hosts[index % 2] ?? "a" },
    address: `10.0.0.${index + 1}`,
    displayName: uid,
    incarnation: uid,
    state: "LIVE",
    listeners: [
      { portName: "grpc", port: 7070, boundAddress: "0.0.0.0:7070", state: "SERVING", interfaces: [`i.${uid}`] },
    ],
  };
}

/** All that a snapshot answers about the names that events speak of. */
function answers(snapshot: MeshSnapshot): unknown {
  return hosts.map((name) => {
    const host = `${name}.shop.svc.cluster.local`;
    return {
      host: snapshot.host(host),
      rule: snapshot.rule(host),
      endpoints: [1, 2].map((port) => snapshot.endpoints(host, port)),
      interfaces: ["i.x", "i.y", "i.z"].map((each) => snapshot.interface(each)),
    };
  });
}

async function play(work: Workspace, sources: Sources, step: Event): Promise<Sources> {
  switch (step.kind) {
    case "write":
      work.write(step.file, step.text);
      break;
    case "remove":
      work.write(step.file, "");
      work.remove(step.file);
      break;
    case "apply":
      await sources.apply({ files: [{ file: "applied.yaml", text: step.text }] });
      break;
    case "delete":
      await sources.delete([{ kind: step.resource, namespace: "shop", name: step.name }]);
      break;
    case "workloads":
      // Not awaited: a burst goes on while the rebuild is still to come.
      void sources.setWorkloads(step.uids.map(workload));
      break;
    case "look":
      await sources.refresh();
      break;
    case "restart":
      return work.reopen();
  }
  return sources;
}

test("any order of events ends where a fresh start on the same state ends", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { maxLength: 12 }),
      fc.array(fc.oneof({ weight: 3, arbitrary: goodText }, brokenText), { minLength: 3, maxLength: 3 }),
      fc.subarray(["x", "y", "z"]),
      async (events, finalTexts, uids) => {
        await using work = new Workspace();
        let sources = await work.open();
        for (const step of events) sources = await play(work, sources, step);
        for (const [index, name] of ["one.yaml", "two.yaml", "deep/three.yaml"].entries())
          work.write(name, finalTexts[index] ?? "");
        void sources.setWorkloads(uids.map(workload));
        await sources.refresh();
        // A file that turned empty is believed at the second look.
        await sources.refresh();

        await using fresh = await openSources({ store: work.store, clock: work.clock, directories: [work.config] });
        await fresh.setWorkloads(uids.map(workload));
        expect(answers(sources.snapshot)).toEqual(answers(fresh.snapshot));
        expect(sources.list()).toEqual(fresh.list());
        expect(sources.diagnostics).toEqual(fresh.diagnostics);
      },
    ),
    { numRuns: 60 },
  );
});

test("the updates told one after the other are all that changed", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 10 }), async (events) => {
      await using work = new Workspace();
      let sources = await work.open();
      // One list per start: what one process tells is a chain.
      const chains: { readonly from: MeshSnapshot; readonly updates: MeshUpdate[] }[] = [];
      const follow = (): void => {
        const updates: MeshUpdate[] = [];
        chains.push({ from: sources.snapshot, updates });
        sources.watch((update) => updates.push(update));
      };
      follow();
      for (const step of events) {
        sources = await play(work, sources, step);
        if (step.kind === "restart") follow();
      }
      await sources.refresh();
      for (const { from, updates } of chains) {
        let known = from;
        for (const { previous, snapshot, changed } of updates) {
          expect(previous).toBe(known);
          known = snapshot;
          for (const name of hosts) {
            const host = `${name}.shop.svc.cluster.local`;
            if (!changed.has(`rule/${host}`)) expect(snapshot.rule(host)).toEqual(previous.rule(host));
            if (!changed.has(`host/${host}`)) expect(snapshot.host(host)).toEqual(previous.host(host));
          }
        }
      }
    }),
    { numRuns: 30 },
  );
});
