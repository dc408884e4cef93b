import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { promisify } from "node:util";
import type { OutputChunk } from "rolldown";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "./bundle.ts";

const root = join(import.meta.dirname, "..");
const sources = join(root, "packages", "grpc", "src");
let folder: string;
let chunks: readonly OutputChunk[];

beforeAll(async () => {
  // Within the repository, so that the bundles find their dependencies.
  const cache = join(root, ".cache");
  await mkdir(cache, { recursive: true });
  folder = await mkdtemp(join(cache, "bundle-"));
  const { output } = await bundle(folder);
  chunks = output.filter((file) => file.type === "chunk");
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs `program` in a process of its own, in the bundles' folder, and returns what it prints as JSON. */
async function inFreshProcess(program: string): Promise<unknown> {
  const options = ["--conditions=@weft/source", "--input-type=module", "--eval", program];
  const { stdout } = await promisify(execFile)(process.execPath, options, { cwd: folder });
  return JSON.parse(stdout);
}

/** The sources that an entry loads when it is imported, as folder/file below src. */
function loadedWith(fileName: string, seen = new Set<string>()): string[] {
  if (seen.has(fileName)) return [];
  seen.add(fileName);
  const chunk = chunks.find((one) => one.fileName === fileName);
  if (chunk === undefined) return [];
  const own = chunk.moduleIds.filter((id) => id.startsWith(sources));
  return [
    ...own.map((id) => relative(sources, id).split(sep).join("/")),
    ...chunk.imports.flatMap((imported) => loadedWith(imported, seen)),
  ];
}

test("every module is in one file, so that its classes and its state are one in a process", () => {
  const modules = chunks.flatMap(({ moduleIds }) => moduleIds);
  expect(modules.length).toBeGreaterThan(100);
  expect(modules.filter((id, index) => modules.indexOf(id) !== index)).toEqual([]);
});

test("each export of package.json has its bundle", () => {
  const names = chunks.filter(({ isEntry }) => isEntry).map(({ fileName }) => fileName);
  expect(names.sort()).toEqual(["connect.js", "grpc-js.js", "index.js", "platform.js"]);
});

test("entries share one RpcError", async () => {
  const program = `
    import { Code, ConnectError } from "@connectrpc/connect";
    import { RpcError } from "./index.js";
    import * as platform from "./platform.js";
    import { rpcErrorOf } from "./connect.js";
    import "./grpc-js.js";
    const error = rpcErrorOf(new ConnectError("gone", Code.Unavailable));
    console.log(JSON.stringify([platform.RpcError === RpcError, error instanceof RpcError]));
  `;
  expect(await inFreshProcess(program)).toEqual([true, true]);
});

test("the entry of applications holds nothing of xDS, the control plane, registration and grpc-js", () => {
  const folders = new Set(loadedWith("index.js").map((file) => file.split("/")[0]));
  expect(folders).toContain("http2");
  for (const late of ["xds", "control-plane", "registration", "grpc-js", "connect"])
    expect(folders).not.toContain(late);
});

test("the entry of grpc-js adds one file, and nothing that tells of channels or load before it is asked", () => {
  const own = loadedWith("grpc-js.js");
  expect(own).toContain("grpc-js/channel.ts");
  for (const late of ["services/channelz-service.ts", "grpc-js/channelz-answers.ts", "grpc-js/load-report.ts"])
    expect(own).not.toContain(late);
  const { imports = [] } = chunks.find(({ fileName }) => fileName === "grpc-js.js") ?? {};
  const files = imports.filter((name) => chunks.some(({ fileName }) => fileName === name));
  expect(files.sort()).toEqual([expect.stringMatching(/^rolldown-runtime-/), expect.stringMatching(/^transport-/)]);
});

test("the code of the entry of applications is ASCII: V8 reads it at one byte a character", () => {
  for (const { code, fileName } of chunks) {
    if (fileName === "index.js" || fileName.startsWith("transport-")) expect(code).toMatch(/^[\0-\x7f]*$/);
  }
});

test("no bundle imports Node's modules: a namespace of each would load what its exports stand for", () => {
  for (const { code, fileName } of chunks)
    expect(`${fileName}: ${code.match(/from ?"node:[^"]*"/)?.[0]}`).toBe(`${fileName}: undefined`);
});

test("a plaintext call loads none of TLS, crypto, zlib, dns, workers and file promises", async () => {
  const program = `
    const { createClient, createServer } = await import("./index.js");
    const same = (bytes) => bytes;
    const codec = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
    const definition = { echo: { path: "/test.Echo/Echo", requestStream: false, responseStream: false, ...codec } };
    const server = createServer();
    server.add(definition, { echo: async (request) => request });
    const { port } = await server.listen("127.0.0.1:0");
    const client = createClient(definition, "127.0.0.1:" + port);
    const reply = await client.echo(Buffer.from("hello"), { timeoutMs: 10_000 });
    const late = ["tls", "crypto", "zlib", "dns/promises", "worker_threads", "internal/fs/promises"];
    const loaded = process.moduleLoadList.map((name) => name.replace("NativeModule ", ""));
    console.log(JSON.stringify([reply.toString(), late.filter((name) => loaded.includes(name))]));
    process.exit();
  `;
  expect(await inFreshProcess(program)).toEqual(["hello", []]);
});
