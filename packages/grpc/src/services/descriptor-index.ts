import { type Enum, type Field, File, type Message } from "@weft/xds-api/weft/reflection/v1/names";

/** One .proto file as reflection hands it out. */
export interface DescribedFile {
  readonly name: string;
  /** The FileDescriptorProto as it was given. */
  readonly bytes: Uint8Array;
  /** The names of the files that it imports. */
  readonly dependencies: readonly string[];
}

/** Finds .proto files by name, by what they declare and by what they extend. Of two that declare the same the first counts. */
export class DescriptorIndex {
  readonly #files = new Map<string, DescribedFile>();
  readonly #symbols = new Map<string, DescribedFile>();
  readonly #messages = new Set<string>();
  /** Message type → number → where that extension is declared. */
  readonly #extensions = new Map<string, Map<number, DescribedFile>>();

  /** Adds a FileDescriptorProto. */
  add(bytes: Uint8Array): void {
    const file = File.decode(bytes);
    const described: DescribedFile = { name: file.name, bytes, dependencies: file.dependency };
    if (!this.#files.has(file.name)) this.#files.set(file.name, described);
    const scope = file.package;
    for (const message of file.messageType) this.#addMessage(message, scope, described);
    for (const declared of file.enumType) this.#addEnum(declared, scope, described);
    for (const extension of file.extension) this.#addExtension(extension, scope, described);
    for (const service of file.service) {
      const name = this.#addSymbol(scope, service.name, described);
      for (const method of service.method) this.#addSymbol(name, method.name, described);
    }
  }

  file(name: string): DescribedFile | undefined {
    return this.#files.get(name);
  }

  /** The file that declares `symbol`: a service, method, message, field, oneof, enum, enum value or extension. */
  fileOfSymbol(symbol: string): DescribedFile | undefined {
    return this.#symbols.get(symbol);
  }

  fileOfExtension(type: string, number: number): DescribedFile | undefined {
    return this.#extensions.get(type)?.get(number);
  }

  /** The numbers of all known extensions of the message `type`, ascending; undefined where there is no such message. */
  extensionNumbers(type: string): number[] | undefined {
    const numbers = this.#extensions.get(type);
    if (numbers === undefined) return this.#messages.has(type) ? [] : undefined;
    return [...numbers.keys()].sort((one, other) => one - other);
  }

  /** `first`, and what it imports, near before far. Imports that nobody described are left out. */
  *closure(first: DescribedFile): Generator<DescribedFile> {
    const seen = new Set([first.name]);
    const queue = [first];
    for (const file of queue) {
      yield file;
      for (const name of file.dependencies) {
        const dependency = seen.has(name) ? undefined : this.#files.get(name);
        seen.add(name);
        if (dependency !== undefined) queue.push(dependency);
      }
    }
  }

  #addMessage(message: Message, scope: string, file: DescribedFile): void {
    const name = this.#addSymbol(scope, message.name, file);
    this.#messages.add(name);
    for (const { name: field } of message.field) this.#addSymbol(name, field, file);
    for (const { name: oneof } of message.oneofDecl) this.#addSymbol(name, oneof, file);
    for (const nested of message.nestedType) this.#addMessage(nested, name, file);
    for (const declared of message.enumType) this.#addEnum(declared, name, file);
    for (const extension of message.extension) this.#addExtension(extension, name, file);
  }

  #addEnum(declared: Enum, scope: string, file: DescribedFile): void {
    this.#addSymbol(scope, declared.name, file);
    // A value's name is its enum's sibling, not its child.
    for (const value of declared.value) this.#addSymbol(scope, value.name, file);
  }

  #addExtension(extension: Field, scope: string, file: DescribedFile): void {
    this.#addSymbol(scope, extension.name, file);
    const type = extension.extendee.replace(/^\./, "");
    let numbers = this.#extensions.get(type);
    if (numbers === undefined) {
      numbers = new Map();
      this.#extensions.set(type, numbers);
    }
    if (!numbers.has(extension.number)) numbers.set(extension.number, file);
  }

  #addSymbol(scope: string, name: string, file: DescribedFile): string {
    const symbol = scope === "" ? name : `${scope}.${name}`;
    if (!this.#symbols.has(symbol)) this.#symbols.set(symbol, file);
    return symbol;
  }
}
