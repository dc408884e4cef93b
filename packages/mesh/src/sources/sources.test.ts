import { mkdirSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@weft/grpc/platform";
import { expect, test } from "vitest";
import type { Workload } from "../model/workload.ts";
import { rescanMs } from "./directory.ts";
import { type MeshUpdate, openSources, type Sources } from "./sources.ts";
import { rule, service, Workspace } from "./testing/workspace.ts";

const host = "echo.shop.svc.cluster.local";

function names(sources: Sources): string[] {
  return sources.list().map(({ kind, name }) => `${kind}/${name}`);
}

function workload(uid: string): Workload {
  return {
    uid,
    nodeId: uid,
    namespace: "shop",
    serviceAccount: "default",
    spiffeId: "spiffe://cluster.local/ns/shop/sa/default",
    labels: { app: "echo" },
    address: "127.0.0.1",
    displayName: uid,
    incarnation: uid,
    state: "LIVE",
    listeners: [{ portName: "grpc", port: 7070, boundAddress: "127.0.0.1:7070", state: "SERVING", interfaces: [] }],
  };
}

function applied(text: string, file = "routes.yaml") {
  return { files: [{ file, text }] };
}

test("reads every YAML file under the directory, nested ones too, and nothing else", async () => {
  await using work = new Workspace();
  work.write("a.yaml", service("a"));
  work.write("deep/er/b.yml", service("b"));
  work.write("notes.txt", "not: [yaml");
  work.write(".hidden/c.yaml", service("c"));
  expect(names(await work.open())).toEqual(["Service/a", "Service/b"]);
});

test("follows links to files", async () => {
  await using work = new Workspace();
  work.write(".data/a.yaml", service("a"));
  symlinkSync(join(work.config, ".data/a.yaml"), join(work.config, "a.yaml"));
  expect(names(await work.open())).toEqual(["Service/a"]);
});

test("a changed file gives an update that names what changed", async () => {
  await using work = new Workspace();
  work.write("echo.yaml", service("echo"));
  const sources = await work.open();
  const updates: MeshUpdate[] = [];
  sources.watch((update) => updates.push(update));
  work.write("echo.yaml", service("echo", 8080));
  await sources.refresh();
  expect(updates).toHaveLength(1);
  expect(updates[0]?.changed).toContain(`host/${host}`);
  expect(updates[0]?.snapshot.host(host)?.service?.ports).toMatchObject([{ port: 8080 }]);
});

test("a deleted file takes its resources along", async () => {
  await using work = new Workspace();
  work.write("echo.yaml", service("echo"));
  const sources = await work.open();
  work.remove("echo.yaml");
  await sources.refresh();
  expect(names(sources)).toEqual([]);
});

test("a wrong document is reported by line and column and stays in force as it was; its neighbours change", async () => {
  await using work = new Workspace();
  work.write("mesh.yaml", `${service("echo")}---\n${rule("echo")}`);
  const sources = await work.open();
  const path = work.write("mesh.yaml", `${service("echo", 8080)}---\n${rule("echo", "SOMETIMES")}`);
  await sources.refresh();
  expect(sources.diagnostics).toMatchObject([
    { code: "WEFT0309", severity: "warning" },
    { severity: "error", at: { file: path, line: 22, column: 13 } },
  ]);
  expect(sources.snapshot.rule(host)?.trafficPolicy.tlsMode).toBe("ISTIO_MUTUAL");
  expect(sources.snapshot.host(host)?.service?.ports).toMatchObject([{ port: 8080 }]);
});

test("a document that is wrong stays as it was last good over a restart", async () => {
  await using work = new Workspace();
  work.write("mesh.yaml", rule("echo"));
  const sources = await work.open();
  work.write("mesh.yaml", rule("echo", "SOMETIMES"));
  await sources.refresh();
  const again = await work.reopen();
  expect(again.snapshot.rule(host)?.trafficPolicy.tlsMode).toBe("ISTIO_MUTUAL");
  expect(again.diagnostics).toEqual(sources.diagnostics);
});

test("a document that goes while another one breaks is gone", async () => {
  await using work = new Workspace();
  work.write("mesh.yaml", `${service("a")}---\n${rule("echo")}`);
  const sources = await work.open();
  work.write("mesh.yaml", rule("echo", "SOMETIMES"));
  await sources.refresh();
  expect(names(sources)).toEqual(["DestinationRule/echo"]);
});

test("text that is no YAML any more keeps all that the file had", async () => {
  await using work = new Workspace();
  work.write("mesh.yaml", `${service("a")}---\n${service("b")}`);
  const sources = await work.open();
  work.write("mesh.yaml", `${service("a")}---\n{ this: [is not`);
  await sources.refresh();
  expect(names(sources)).toEqual(["Service/a", "Service/b"]);
  expect(sources.diagnostics.some(({ severity }) => severity === "error")).toBe(true);
});

test("mending the document ends the diagnostics", async () => {
  await using work = new Workspace();
  work.write("mesh.yaml", rule("echo"));
  const sources = await work.open();
  work.write("mesh.yaml", rule("echo", "SOMETIMES"));
  await sources.refresh();
  work.write("mesh.yaml", rule("echo", "DISABLE"));
  await sources.refresh();
  expect(sources.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  expect(sources.snapshot.rule(host)?.trafficPolicy.tlsMode).toBe("DISABLE");
});

test("of two files that define one resource the first by path counts, and the other is told", async () => {
  await using work = new Workspace();
  work.write("b.yaml", service("echo", 2));
  const first = work.write("a.yaml", service("echo", 1));
  const sources = await work.open();
  expect(sources.snapshot.host(host)?.service?.ports).toMatchObject([{ port: 1 }]);
  expect(sources.diagnostics).toMatchObject([
    { code: "WEFT0007", message: expect.stringContaining(first), at: { file: join(work.config, "b.yaml") } },
  ]);
});

test("a missing directory is a diagnostic with a hint, and is found once it is there", async () => {
  await using work = new Workspace();
  work.remove("");
  const sources = await work.open();
  expect(sources.diagnostics).toMatchObject([{ code: "WEFT0306", at: { file: work.config } }]);
  mkdirSync(work.config);
  work.write("a.yaml", service("a"));
  const updated = new Promise((resolve) => sources.watch(resolve));
  work.clock.advance(rescanMs);
  await updated;
  expect(names(sources)).toEqual(["Service/a"]);
  expect(sources.diagnostics).toEqual([]);
});

test("a directory that goes away leaves what it said in force", async () => {
  await using work = new Workspace();
  work.write("a.yaml", service("a"));
  const sources = await work.open();
  renameSync(work.config, `${work.config}-unmounted`);
  await sources.refresh();
  expect(names(sources)).toEqual(["Service/a"]);
  expect(sources.diagnostics).toMatchObject([{ code: "WEFT0306" }]);
});

test("a file that can't be read leaves what it said in force", async () => {
  await using work = new Workspace();
  const path = work.write("a.yaml", service("a"));
  const sources = await work.open();
  work.remove("a.yaml");
  symlinkSync(path, path);
  await sources.refresh();
  expect(names(sources)).toEqual(["Service/a"]);
  expect(sources.diagnostics).toMatchObject([{ code: "WEFT0306", message: expect.stringContaining("loop") }]);
});

test("a file that turns empty counts as empty only when it is so twice", async () => {
  await using work = new Workspace();
  work.write("a.yaml", service("a"));
  const sources = await work.open();
  work.write("a.yaml", "");
  await sources.refresh();
  expect(names(sources)).toEqual(["Service/a"]);
  await sources.refresh();
  expect(names(sources)).toEqual([]);
});

test("notices changes on its own", async () => {
  await using work = new Workspace();
  work.write("a.yaml", service("a"));
  await using sources = await openSources({ store: work.store, clock: systemClock, directories: [work.config] });
  const next = () =>
    new Promise<MeshUpdate>((resolve) => {
      const stop = sources.watch((update) => {
        stop();
        resolve(update);
      });
    });
  const inNewDirectory = next();
  work.write("later/b.yaml", service("b"));
  await inNewDirectory;
  expect(names(sources)).toEqual(["Service/a", "Service/b"]);
  const removed = next();
  work.remove("a.yaml");
  await removed;
  expect(names(sources)).toEqual(["Service/b"]);
});

test("applied resources are in the snapshot when apply resolves, and after a restart", async () => {
  await using work = new Workspace();
  const sources = await work.open();
  const result = await sources.apply(applied(service("echo")));
  expect(result).toMatchObject({ kind: "applied", revision: 1, outcomes: [{ change: "created", name: "echo" }] });
  expect(sources.snapshot.host(host)).toBeDefined();
  const again = await work.reopen();
  expect(again.snapshot.host(host)).toBeDefined();
  expect(again.get({ kind: "Service", namespace: "shop", name: "echo" })).toMatchObject({
    origin: { kind: "store" },
    generation: 1,
    text: expect.stringContaining("name: echo"),
  });
});

test("a batch with one error changes nothing", async () => {
  await using work = new Workspace();
  const sources = await work.open();
  const result = await sources.apply(applied(`${service("echo")}---\n${rule("echo", "SOMETIMES")}`));
  expect(result).toMatchObject({
    kind: "refused",
    diagnostics: [{ severity: "error", at: { file: "routes.yaml", line: 22 } }],
  });
  expect(sources.list()).toEqual([]);
});

test("two texts of one batch may not define the same resource", async () => {
  await using work = new Workspace();
  const sources = await work.open();
  const files = [
    { file: "a.yaml", text: service("echo", 1) },
    { file: "b.yaml", text: service("echo", 2) },
  ];
  expect(await sources.apply({ files })).toMatchObject({ kind: "refused", diagnostics: [{ code: "WEFT0007" }] });
});

test("a dry run warns about what the resources would not find, a real one does too", async () => {
  await using work = new Workspace();
  const sources = await work.open();
  const warning = { severity: "warning", code: "WEFT0106", at: { file: "routes.yaml", line: 7 } };
  expect(await sources.apply({ ...applied(rule("ecko")), dryRun: true })).toMatchObject({ diagnostics: [warning] });
  expect(await sources.apply(applied(rule("ecko")))).toMatchObject({ kind: "applied", diagnostics: [warning] });
  expect(sources.diagnostics).toMatchObject([warning]);
});

test("a dry run says what would happen and keeps nothing", async () => {
  await using work = new Workspace();
  const sources = await work.open();
  const result = await sources.apply({ ...applied(service("echo")), dryRun: true });
  expect(result).toMatchObject({ kind: "applied", revision: 0, outcomes: [{ change: "created" }] });
  expect(sources.list()).toEqual([]);
});

test("a resource that a file defines can't be applied or deleted, and the file is named", async () => {
  await using work = new Workspace();
  const path = work.write("echo.yaml", service("echo"));
  const sources = await work.open();
  const refused = { kind: "refused", diagnostics: [{ code: "WEFT0506", message: expect.stringContaining(path) }] };
  expect(await sources.apply(applied(service("echo", 1)))).toMatchObject(refused);
  expect(await sources.delete([{ kind: "Service", namespace: "shop", name: "echo" }])).toMatchObject(refused);
});

test("a file that appears takes precedence over the store, and says so until one of them goes", async () => {
  await using work = new Workspace();
  const sources = await work.open();
  await sources.apply(applied(service("echo", 1)));
  work.write("echo.yaml", service("echo", 2));
  await sources.refresh();
  expect(sources.snapshot.host(host)?.service?.ports).toMatchObject([{ port: 2 }]);
  expect(sources.diagnostics).toMatchObject([{ code: "WEFT0308", severity: "warning" }]);
  work.remove("echo.yaml");
  await sources.refresh();
  expect(sources.snapshot.host(host)?.service?.ports).toMatchObject([{ port: 1 }]);
  expect(sources.diagnostics).toEqual([]);
});

test("deleting is all or nothing, and says what isn't there", async () => {
  await using work = new Workspace();
  const sources = await work.open();
  await sources.apply(applied(service("echo")));
  const echo = { kind: "Service", namespace: "shop", name: "echo" };
  const elsewhere = { ...echo, namespace: "store" };
  expect(await sources.delete([echo, elsewhere])).toMatchObject({
    kind: "refused",
    diagnostics: [{ code: "WEFT0505", hint: "there is one in namespace shop" }],
  });
  expect(sources.list()).toHaveLength(1);
  expect(await sources.delete([echo])).toMatchObject({ kind: "applied", outcomes: [{ change: "deleted" }] });
  expect(sources.list()).toEqual([]);
});

test("a burst of changes is one rebuild", async () => {
  await using work = new Workspace();
  const sources = await work.open();
  let updates = 0;
  sources.watch(() => updates++);
  await Promise.all([
    sources.apply(applied(service("a"))),
    sources.apply(applied(service("b"))),
    sources.setWorkloads([workload("one")]),
    sources.setWorkloads([workload("one"), workload("two")]),
  ]);
  expect(updates).toBe(1);
});

test("a change that changes nothing is announced to nobody", async () => {
  await using work = new Workspace();
  const sources = await work.open();
  await sources.apply(applied(service("a")));
  let updates = 0;
  sources.watch(() => updates++);
  await sources.apply(applied(service("a")));
  await sources.refresh();
  expect(updates).toBe(0);
});

test("registrations become endpoints of the services that select them", async () => {
  await using work = new Workspace();
  const sources = await work.open();
  await sources.apply(applied(service("echo")));
  await sources.setWorkloads([workload("one")]);
  expect(sources.snapshot.endpoints(host, 7070)).toMatchObject([{ uid: "one", port: 7070 }]);
});
