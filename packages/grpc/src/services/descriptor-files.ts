import type { DescFile, DescService } from "@bufbuild/protobuf";
import { FileSet } from "@weft/xds-api/weft/reflection/v1/names";
import { withImports } from "./missing-imports.ts";
import type { DescriptorSource, LoadedDescriptors } from "./reflection.ts";

/** Package definition, service, method, message type: no descriptors are deeper in a definition. */
const deepestDefinition = 4;

/** The FileDescriptorProtos that `source` holds, as bytes. */
export async function descriptorFiles(source: DescriptorSource): Promise<Uint8Array[]> {
  const loaded = typeof source === "function" ? await source() : source;
  if (typeof loaded === "string" || loaded instanceof URL) {
    const { readFile } = await import("node:fs/promises");
    return FileSet.decode(await readFile(loaded)).file;
  }
  if (loaded instanceof Uint8Array) return FileSet.decode(loaded).file;
  if (isDesc(loaded)) return await protobufEsFiles(loaded.kind === "file" ? loaded : loaded.file);
  const files = new Set<Uint8Array>();
  collectFiles(loaded, files, deepestDefinition);
  if (files.size === 0) {
    throw new TypeError("the definition given to createReflection carries no descriptors: give it a descriptor set");
  }
  return withImports([...files]);
}

function isDesc(source: LoadedDescriptors & object): source is DescFile | DescService {
  return "kind" in source && (source["kind"] === "file" || source["kind"] === "service") && "proto" in source;
}

async function protobufEsFiles(file: DescFile): Promise<Uint8Array[]> {
  const [{ toBinary }, { FileDescriptorProtoSchema }] = await Promise.all([
    import("@bufbuild/protobuf"),
    import("@bufbuild/protobuf/wkt"),
  ]);
  const files = new Set<DescFile>();
  const add = (next: DescFile) => {
    if (files.has(next)) return;
    files.add(next);
    next.dependencies.forEach(add);
  };
  add(file);
  return [...files].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
}

function collectFiles(definition: object, files: Set<Uint8Array>, depth: number): void {
  const protos: unknown = "fileDescriptorProtos" in definition ? definition.fileDescriptorProtos : undefined;
  if (Array.isArray(protos)) {
    for (const proto of protos) if (proto instanceof Uint8Array) files.add(proto);
    return;
  }
  if (depth === 0) return;
  for (const value of Object.values(definition)) {
    if (typeof value === "object" && value !== null) collectFiles(value, files, depth - 1);
  }
}
