// Generates packages/xds-api/src/gen from Envoy's published .proto files and those of proto/, and the messages of the
// conformance suites beside their own .proto files.
// Cached by a hash of everything that goes in, so that it costs nothing when nothing changed.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const require = createRequire(import.meta.url);
const xdsProtos = join(dirname(require.resolve("@grpc/grpc-js-xds/package.json")), "deps");
const staging = join(root, ".cache", "proto");
const output = join(root, "packages", "xds-api", "src", "gen");

/** Envoy files whose closure is what an ADS client, an ADS server and their filters speak. */
const envoyRoots = [
  "envoy/service/discovery/v3/ads.proto",
  "envoy/config/listener/v3/listener.proto",
  "envoy/config/route/v3/route.proto",
  "envoy/config/cluster/v3/cluster.proto",
  "envoy/config/endpoint/v3/endpoint.proto",
  "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
  "envoy/extensions/filters/http/router/v3/router.proto",
  "envoy/extensions/filters/http/fault/v3/fault.proto",
  "envoy/extensions/transport_sockets/tls/v3/tls.proto",
];

/** Messages that no gRPC client reads and that would pull in half of Envoy. */
const excluded = [
  "envoy.config.accesslog.v3",
  "envoy.config.trace.v3",
  "udpa.annotations",
  "envoy.annotations",
  "validate",
  "xds.annotations.v3",
];

const pluginOptions = [
  "enumsAsLiterals=true",
  "importSuffix=.ts",
  "oneof=unions-value",
  "outputJsonMethods=false",
  "outputPartialMethods=false",
  "forceLong=bigint",
  "outputServices=generic-definitions",
];

function filesUnder(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".proto"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function inputsHash(protos: string): string {
  const hash = createHash("sha256");
  for (const path of [import.meta.filename, ...filesUnder(protos)]) hash.update(readFileSync(path));
  for (const name of ["@grpc/grpc-js-xds", "ts-proto", "@bufbuild/buf"]) {
    hash.update(readFileSync(require.resolve(`${name}/package.json`)));
  }
  return hash.digest("hex");
}

/** The published validate.proto is older than the Envoy files that use it: they set `ignore_empty`, it lacks the field. */
function addIgnoreEmpty(text: string): string {
  const fields: Record<string, number> = { StringRules: 26, BytesRules: 14, RepeatedRules: 5, MapRules: 6 };
  for (const kind of [
    "Float",
    "Double",
    "Int32",
    "Int64",
    "UInt32",
    "UInt64",
    "SInt32",
    "SInt64",
    "Fixed32",
    "Fixed64",
    "SFixed32",
    "SFixed64",
  ]) {
    fields[`${kind}Rules`] = 8;
  }
  return Object.entries(fields).reduce(
    (result, [message, number]) =>
      result.replace(`message ${message} {`, `message ${message} {\n    optional bool ignore_empty = ${number};`),
    text,
  );
}

function stageEnvoyProtos(): void {
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  for (const part of ["envoy-api", "xds", "googleapis", "protoc-gen-validate"]) {
    cpSync(join(xdsProtos, part), staging, { recursive: true });
  }
  const validate = join(staging, "validate", "validate.proto");
  writeFileSync(validate, addIgnoreEmpty(readFileSync(validate, "utf8")));
  cpSync(join(root, "proto"), staging, { recursive: true });
}

function buf(...args: string[]): Buffer {
  const env = { ...process.env, PATH: `${join(root, "node_modules", ".bin")}:${process.env["PATH"]}` };
  return execFileSync("buf", args, { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] });
}

function runBuf(directory: string, out: string, paths: string[], extra: string[] = []): void {
  const template = {
    version: "v2",
    plugins: [{ local: "protoc-gen-ts_proto", out, opt: pluginOptions, include_imports: true }],
    inputs: [
      {
        directory,
        paths: paths.map((path) => join(directory, path)),
        ...(extra.length > 0 ? { exclude_types: extra } : {}),
      },
    ],
  };
  buf("generate", "--template", JSON.stringify(template));
}

/** The descriptors of all of `directory` and what it imports, as a module: what server reflection answers with. */
function writeDescriptors(directory: string, path: string): void {
  const set = buf("build", directory, "--as-file-descriptor-set", "--exclude-source-info", "-o", "-");
  const comment = "/** A FileDescriptorSet in base64: the protos of this project, and what they import. */";
  writeFileSync(path, `${comment}\nexport const descriptorSet =\n  "${set.toString("base64")}";\n`);
}

/** Runs `generate` into an empty `out`, unless what is there was made from the same inputs. */
function renew(protos: string, out: string, generate: (own: string[]) => void): void {
  const stamp = join(out, ".inputs");
  const hash = inputsHash(protos);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  rmSync(out, { recursive: true, force: true });
  generate(filesUnder(protos).map((path) => path.slice(protos.length + 1)));
  writeFileSync(stamp, hash);
}

renew(join(root, "proto"), output, (own) => {
  stageEnvoyProtos();
  runBuf(staging, output, [...envoyRoots, ...own], excluded);
  writeDescriptors(join(root, "proto"), join(output, "descriptors.ts"));
});
for (const suite of ["grpc-interop"]) {
  const folder = join(root, "test", "conformance", suite);
  const protos = join(folder, "proto");
  renew(protos, join(folder, "gen"), (own) => runBuf(protos, join(folder, "gen"), own));
}
