import { type TypeUrl, typeUrls } from "@weft/xds-api";
import { describe, expect, test } from "vitest";
import { textResource } from "../discovery/testing/memory-source.ts";
import type { MeshReader } from "../model/mesh-reader.ts";
import { parseDocuments } from "../model/parse.ts";
import { createSnapshot, type MeshSnapshot } from "../model/snapshot.ts";
import { Catalog } from "./catalog.ts";
import type { Translation, Translators } from "./translators.ts";

const cds = typeUrls.cluster;
const rds = typeUrls.routeConfiguration;
const lds = typeUrls.listener;

interface Service {
  readonly name: string;
  readonly ports: readonly number[];
}

/** A mesh of services in namespace `shop`; what a test's translators say of one is its ports. */
function mesh(...services: readonly Service[]): MeshSnapshot {
  const text = services.map(
    ({ name, ports }) =>
      `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: shop}\n` +
      `spec: {selector: {app: ${name}}, ports: [${ports.map((port) => `{name: p${port}, port: ${port}}`).join(", ")}]}`,
  );
  const { resources, diagnostics } = parseDocuments(text.join("\n---\n"), "mesh.yaml", { defaultNamespace: "shop" });
  expect(diagnostics).toEqual([]);
  return createSnapshot({ resources, workloads: [] });
}

function portsOf(reader: MeshReader, name: string): string | undefined {
  const ports = reader.host(`${name}.shop.svc.cluster.local`)?.service?.ports;
  return ports?.map(({ port }) => port).join(",");
}

/** Each type says the ports of its host; a route `a->b` is about host a and leads to the cluster of host b. */
function fixture(start: MeshSnapshot): {
  catalog: Catalog<string>;
  translated: string[];
  announced: string[];
  view: ReturnType<Catalog<string>["watch"]>;
} {
  const translated: string[] = [];
  const announced: string[] = [];
  const say =
    (typeUrl: TypeUrl) =>
    (reader: MeshReader, audience: string, name: string): Translation | undefined => {
      translated.push(name);
      const [host = "", target] = name.split("->");
      const ports = portsOf(reader, host);
      if (ports === undefined) return undefined;
      const text = typeUrl === lds ? `${ports} for ${audience}` : ports;
      return {
        resource: textResource(typeUrl, name, text),
        requires: target === undefined ? [] : [{ typeUrl: cds, name: target }],
      };
    };
  const translators: Translators<string> = {
    byType: {
      [lds]: say(lds),
      [rds]: say(rds),
      [cds]: say(cds),
      [typeUrls.clusterLoadAssignment]: say(typeUrls.clusterLoadAssignment),
    },
    audienceKey: (audience, typeUrl) => (typeUrl === lds ? audience : ""),
    list: (snapshot) => [...snapshot.resources.hosts.keys()],
  };
  const catalog = new Catalog(start, translators);
  const view = catalog.watch("me", (typeUrl, name) =>
    announced.push(name === undefined ? "list" : `${name}: ${read(view.get(typeUrl, name)?.any)}`),
  );
  return { catalog, translated, announced, view };
}

function read(any: Uint8Array | undefined): string | undefined {
  return any && /[\d,]+( for \w+)?$/.exec(Buffer.from(any).toString())?.[0];
}

const a = { name: "a", ports: [1] };
const b = { name: "b", ports: [1] };

describe("an update", () => {
  test("translates again what is subscribed and read something that changed, nothing else", () => {
    const it = fixture(mesh(a, b));
    it.view.subscribe(cds, "a");
    it.view.subscribe(cds, "b");
    it.translated.length = 0;
    it.catalog.update(mesh(a, { ...b, ports: [2] }, { name: "c", ports: [1] }));
    expect(it.translated).toEqual(["b"]);
    expect(it.announced).toEqual(["b: 2"]);
  });

  test("that leaves the bytes equal is not announced", () => {
    const it = fixture(mesh(a, { name: "b", ports: [1] }));
    it.view.subscribe(rds, "a->b");
    const before = it.view.get(rds, "a->b");
    expect(it.catalog.update(mesh(a, { name: "b", ports: [2] }))).toEqual({
      changedKeys: 1,
      translated: 1,
      published: 1,
    });
    expect(it.announced).toEqual([]);
    expect(it.view.get(rds, "a->b")).toBe(before);
  });

  test("shows all of its answers before the first reader is told of one", () => {
    const it = fixture(mesh(a, b));
    const seen: (string | undefined)[] = [];
    const view = it.catalog.watch("me", () => {
      seen.push(["a", "b"].map((name) => read(view.get(cds, name)?.any)).join(" "));
    });
    view.subscribe(cds, "a");
    view.subscribe(cds, "b");
    it.catalog.update(mesh({ ...a, ports: [2] }, { ...b, ports: [2] }));
    expect(seen).toEqual(["2 2", "2 2"]);
  });

  test("brings what was missing, and takes what is gone", () => {
    const it = fixture(mesh());
    it.view.subscribe(cds, "a");
    expect(it.view.get(cds, "a")).toBeUndefined();
    it.catalog.update(mesh(a));
    it.catalog.update(mesh());
    expect(it.announced).toEqual(["a: 1", "a: undefined"]);
  });

  test("announces the list of names to those who listed it, when it is another one", () => {
    const it = fixture(mesh(a));
    expect(it.view.list(cds)).toEqual(["a.shop.svc.cluster.local"]);
    it.catalog.update(mesh({ ...a, ports: [2] }));
    expect(it.announced).toEqual([]);
    it.catalog.update(mesh(a, b));
    expect(it.announced).toEqual(["list"]);
    expect(it.view.list(cds)).toHaveLength(2);
  });
});

describe("an entry", () => {
  test("is shared by audiences that get the same, and not by others", () => {
    const it = fixture(mesh(a));
    const other = it.catalog.watch("you", () => undefined);
    for (const view of [it.view, other]) for (const type of [cds, lds]) view.subscribe(type, "a");
    expect(it.translated).toEqual(["a", "a", "a"]);
    expect(other.get(cds, "a")).toBe(it.view.get(cds, "a"));
    expect([it.view, other].map((view) => read(view.get(lds, "a")?.any))).toEqual(["1 for me", "1 for you"]);
  });

  test("is dropped with its last subscriber", () => {
    const it = fixture(mesh(a));
    const other = it.catalog.watch("you", () => undefined);
    it.view.subscribe(cds, "a");
    other.subscribe(cds, "a");
    it.view.unsubscribe(cds, "a");
    expect(it.catalog.size).toBe(1);
    other.close();
    expect(it.catalog.size).toBe(0);
    it.translated.length = 0;
    it.catalog.update(mesh());
    expect(it.translated).toEqual([]);
  });

  test("of a route keeps what it leads to, and lets go of it with the route", () => {
    const it = fixture(mesh(a, b));
    it.view.subscribe(rds, "a->b");
    expect(it.catalog.size).toBe(2);
    it.view.close();
    expect(it.catalog.size).toBe(0);
  });

  test("of an unknown type does not exist", () => {
    const it = fixture(mesh(a));
    it.view.subscribe("type.googleapis.com/other", "a");
    it.view.subscribe("toString", "a");
    expect([it.view.get("type.googleapis.com/other", "a"), it.catalog.size]).toEqual([undefined, 0]);
  });
});

describe("a route", () => {
  test("that leads to something unanswerable does not replace one that was complete", () => {
    const it = fixture(mesh(a, b));
    it.view.subscribe(rds, "a->b");
    it.catalog.update(mesh({ ...a, ports: [2] }));
    expect(read(it.view.get(rds, "a->b")?.any)).toBe("1");
    expect(it.announced).toEqual([]);
    expect(it.catalog.unanswerable()).toEqual([
      { typeUrl: rds, name: "a->b", missing: [{ typeUrl: cds, name: "b" }], servesOlder: true },
    ]);
  });

  test("follows as soon as what it leads to is there", () => {
    const it = fixture(mesh(a, b));
    it.view.subscribe(rds, "a->b");
    it.catalog.update(mesh({ ...a, ports: [2] }));
    it.catalog.update(mesh({ ...a, ports: [2] }, b));
    expect(it.announced).toEqual(["a->b: 2"]);
    expect(it.catalog.unanswerable()).toEqual([]);
  });

  test("that was never complete is served as it is: silence would take the whole host down", () => {
    const it = fixture(mesh(a));
    it.view.subscribe(rds, "a->b");
    expect(read(it.view.get(rds, "a->b")?.any)).toBe("1");
    expect(it.catalog.unanswerable()).toMatchObject([{ name: "a->b", servesOlder: false }]);
    it.catalog.update(mesh({ ...a, ports: [2] }));
    expect(it.announced).toEqual(["a->b: 2"]);
  });

  test("that is deleted is gone, whatever it led to", () => {
    const it = fixture(mesh(a, b));
    it.view.subscribe(rds, "a->b");
    it.catalog.update(mesh());
    expect(it.view.get(rds, "a->b")).toBeUndefined();
  });
});
