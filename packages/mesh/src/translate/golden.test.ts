import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { formatDiagnostic } from "../model/diagnostic.ts";
import { parseDocuments } from "../model/parse.ts";
import { checkReferences } from "../model/references.ts";
import { createSnapshot } from "../model/snapshot.ts";
import { listener, workload } from "../model/testing/mesh.ts";
import type { Workload, WorkloadListener } from "../model/workload.ts";
import { answersFor, audience, readable, serverListenersFor } from "./testing/answers.ts";

// testdata/<case>.yaml holds the resources, <case>.mesh.yaml who is there and what is dialled, <case>.xds.json what comes
// of it. `UPDATE_GOLDEN=1 npx vitest run golden` writes the last anew; read the difference before committing it.

interface MeshCase {
  readonly namespace?: string;
  readonly dial: readonly string[];
  readonly workloads?: readonly (Partial<Omit<Workload, "listeners">> & {
    readonly uid: string;
    readonly listeners?: readonly Partial<WorkloadListener>[];
  })[];
}

const folder = join(import.meta.dirname, "testdata");
const cases = readdirSync(folder).flatMap((file) =>
  file.endsWith(".mesh.yaml") ? [file.slice(0, -".mesh.yaml".length)] : [],
);

test.each(cases)("translates %s as its golden file says", (name) => {
  const parsed = parseDocuments(readFileSync(join(folder, `${name}.yaml`), "utf8"), `${name}.yaml`, {
    defaultNamespace: "default",
  });
  const mesh: MeshCase = parse(readFileSync(join(folder, `${name}.mesh.yaml`), "utf8"));
  const workloads = (mesh.workloads ?? []).map(({ uid, listeners = [{}], ...overrides }) =>
    workload(uid, { ...overrides, listeners: listeners.map(listener) }),
  );
  const snapshot = createSnapshot({ resources: parsed.resources, workloads });
  const who = audience({ namespace: mesh.namespace ?? "shop" });
  const { listeners, ...others } = answersFor(snapshot, who, mesh.dial);
  const answers = {
    diagnostics: [...parsed.diagnostics, ...checkReferences(snapshot.resources)].map(formatDiagnostic),
    listeners: readableEntries(listeners),
    serverListeners: readableEntries(serverListenersFor(snapshot, workloads)),
    routeConfigurations: readableEntries(others.routeConfigurations),
    clusters: readableEntries(others.clusters),
    endpoints: readableEntries(others.endpoints),
  };
  const text = `${JSON.stringify(answers, undefined, 2)}\n`;
  const golden = join(folder, `${name}.xds.json`);
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(golden, text);
  expect(text).toBe(readFileSync(golden, "utf8"));
});

function readableEntries(messages: Readonly<Record<string, object | undefined>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(messages).map(([name, message]) => [
      name,
      message === undefined ? "not answered" : readable(message),
    ]),
  );
}
