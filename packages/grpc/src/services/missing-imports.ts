import { File, type Message } from "@weft/xds-api/weft/reflection/v1/names";
import { DescriptorIndex } from "./descriptor-index.ts";

/** FileDescriptorProto.dependency, a string. */
const dependencyTag = (3 << 3) | 2;

/** A name of a type as it stands in a descriptor, and the scope where it stands. */
interface Reference {
  readonly name: string;
  readonly scope: string;
}

/**
 * `files` with the imports that they need from each other. protobufjs, which proto-loader is made with, describes files without
 * any, and whoever reads them finds their types in no file that is imported.
 */
export function withImports(files: readonly Uint8Array[]): Uint8Array[] {
  const index = new DescriptorIndex();
  for (const bytes of files) index.add(bytes);
  return files.map((bytes) => {
    const file = File.decode(bytes);
    const missing = new Set<string>();
    for (const reference of referencesOf(file)) {
      const declaredIn = resolve(index, reference);
      if (declaredIn !== undefined && declaredIn !== file.name) missing.add(declaredIn);
    }
    for (const known of file.dependency) missing.delete(known);
    // What is appended to an encoded message joins its repeated fields.
    return missing.size === 0 ? bytes : Buffer.concat([bytes, ...[...missing].map(encodeDependency)]);
  });
}

function resolve(index: DescriptorIndex, { name, scope }: Reference): string | undefined {
  if (name.startsWith(".")) return index.fileOfSymbol(name.slice(1))?.name;
  for (let outer = scope; outer !== ""; outer = outer.slice(0, Math.max(0, outer.lastIndexOf(".")))) {
    const found = index.fileOfSymbol(`${outer}.${name}`);
    if (found !== undefined) return found.name;
  }
  return index.fileOfSymbol(name)?.name;
}

function* referencesOf(file: File): Generator<Reference> {
  const scope = file.package;
  for (const message of file.messageType) yield* referencesOfMessage(message, scope);
  for (const { extendee, typeName } of file.extension) yield* named(scope, extendee, typeName);
  for (const { method } of file.service) {
    for (const { inputType, outputType } of method) yield* named(scope, inputType, outputType);
  }
}

function* referencesOfMessage(message: Message, outer: string): Generator<Reference> {
  const scope = outer === "" ? message.name : `${outer}.${message.name}`;
  for (const { typeName } of message.field) yield* named(scope, typeName);
  for (const { extendee, typeName } of message.extension) yield* named(scope, extendee, typeName);
  for (const nested of message.nestedType) yield* referencesOfMessage(nested, scope);
}

function* named(scope: string, ...names: readonly string[]): Generator<Reference> {
  for (const name of names) if (name !== "") yield { name, scope };
}

function encodeDependency(name: string): Uint8Array {
  const text = Buffer.from(name);
  const head = [dependencyTag];
  let length = text.length;
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80);
  head.push(length);
  return Buffer.concat([Buffer.from(head), text]);
}
