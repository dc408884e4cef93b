import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "./bundle.ts";

// An application beside @weft/grpc as it is installed: one file of it and one package have stubs that import grpc-js themselves.
// What docs/reference/grpc-js.md shows is what runs here.

const root = join(import.meta.dirname, "..");
const run = promisify(execFile);
let folder: string;

const stub = `
  import * as grpc from "@grpc/grpc-js";
  export const Greeter = grpc.makeGenericClientConstructor({}, "Greeter");
`;
/** Whether a file's own import, its stub and the package's stub are on our channel. */
const probe = `
  import * as grpc from "@grpc/grpc-js";
  import * as weft from "@weft/grpc/grpc-js";
  import { Greeter } from "./stub.js";
  import { Greeter as Installed } from "greeter-stubs";
  const onOurs = (Stub) => new Stub("127.0.0.1:1", grpc.credentials.createInsecure()).getChannel() instanceof weft.Channel;
  export const moved = [grpc.Server === weft.Server, onOurs(Greeter), onOurs(Installed)];
`;
const files = {
  "app/stub.js": stub,
  "app/probe.js": probe,
  "app/main.js": 'import { moved } from "./probe.js"; console.log(JSON.stringify(moved));',
  "app/main.cjs": `
    const moved = [require("@grpc/grpc-js").Server === require("@weft/grpc/grpc-js").Server];
    console.log(JSON.stringify(moved));
  `,
  "app/moved.test.js": `
    import { expect, test } from "vitest";
    import { moved } from "./probe.js";
    test("moved", () => expect(moved).toEqual([true, true, true]));
  `,
  "node_modules/greeter-stubs/package.json": '{ "name": "greeter-stubs", "type": "module", "exports": "./stub.js" }',
  "node_modules/greeter-stubs/stub.js": stub,
};

beforeAll(async () => {
  // Within the repository, so that everything else is found.
  await mkdir(join(root, ".cache"), { recursive: true });
  folder = await mkdtemp(join(root, ".cache", "moving-"));
  const installed = join(folder, "node_modules", "@weft", "grpc");
  await bundle(join(installed, "dist", "bundle"));
  await cp(join(root, "packages", "grpc", "package.json"), join(installed, "package.json"));
  const page = await readFile(join(root, "docs", "reference", "grpc-js.md"), "utf8");
  const shown = [...page.matchAll(/^\/\/ (weft-\w+\.mjs)\n([^`]+)/gm)].map(([, name = "", text = ""]) => [name, text]);
  for (const [name = "", text = ""] of [...Object.entries(files), ...shown]) {
    await mkdir(join(folder, name, ".."), { recursive: true });
    await writeFile(join(folder, name), text);
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** What Node prints, run in the application with no more in its environment than a shell has. */
async function node(...args: string[]): Promise<string> {
  const env = { PATH: process.env["PATH"], NO_COLOR: "1" };
  const { stdout } = await run(process.execPath, args, { cwd: folder, env });
  return stdout;
}

async function vitestWith(config: string): Promise<string> {
  await writeFile(
    join(folder, "vitest.config.mjs"),
    `import { weft } from "./weft-plugin.mjs"; export default ${config};`,
  );
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  return node(vitest, "run", "--root", folder);
}

test("without any of it stubs are on grpc-js's own channel", async () => {
  expect(JSON.parse(await node("app/main.js"))).toEqual([false, false, false]);
});

test("Node's hook moves every import and require but our own", async () => {
  expect(JSON.parse(await node("--import", "./weft-hook.mjs", "app/main.js"))).toEqual([true, true, true]);
  expect(JSON.parse(await node("--import", "./weft-hook.mjs", "app/main.cjs"))).toEqual([true]);
});

test("the plugin moves what rolldown bundles, all of it or without dependencies", async () => {
  const { weft } = await import(join(folder, "weft-plugin.mjs"));
  for (const external of [[], ["@weft/grpc/grpc-js"]]) {
    const input = join(folder, "app", "main.js");
    await using bundler = await rolldown({ input, platform: "node", logLevel: "silent", plugins: [weft], external });
    await bundler.write({ dir: join(folder, "out"), cleanDir: true, format: "esm" });
    expect(JSON.parse(await node("out/main.js"))).toEqual([true, true, true]);
  }
});

test("in Vitest the plugin does, and an alias with the package inlined", async () => {
  const alias = '{ resolve: { alias: { "@grpc/grpc-js": "@weft/grpc/grpc-js" } }, ';
  expect(await vitestWith("{ plugins: [weft], test: { server: { deps: { inline: true } } } }")).toMatch(
    /Tests +1 passed/,
  );
  expect(await vitestWith(`${alias} test: { server: { deps: { inline: ["greeter-stubs"] } } } }`)).toMatch(
    /Tests +1 passed/,
  );
});
