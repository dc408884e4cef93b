import type {
  Endpoint,
  HostRoutes,
  HostRule,
  InboundListener,
  InterfaceExports,
  MeshHost,
  MeshKey,
  MeshReader,
} from "./mesh-reader.ts";
import type { MeshSettings } from "./mesh-settings.ts";

/** A reader that notes each key it is asked for in `keys`, also where the answer is that there is nothing. */
export class RecordingReader implements MeshReader {
  readonly keys = new Set<MeshKey>();
  readonly settings: MeshSettings;
  readonly #reader: MeshReader;

  constructor(reader: MeshReader) {
    this.settings = reader.settings;
    this.#reader = reader;
  }

  host(name: string): MeshHost | undefined {
    this.keys.add(`host/${name}`);
    return this.#reader.host(name);
  }

  routes(host: string): HostRoutes | undefined {
    this.keys.add(`routes/${host}`);
    return this.#reader.routes(host);
  }

  rule(host: string): HostRule | undefined {
    this.keys.add(`rule/${host}`);
    return this.#reader.rule(host);
  }

  endpoints(host: string, port: number): readonly Endpoint[] {
    this.keys.add(`endpoints/${host}`);
    return this.#reader.endpoints(host, port);
  }

  interface(name: string): InterfaceExports | undefined {
    this.keys.add(`interface/${name}`);
    return this.#reader.interface(name);
  }

  inbound(nodeId: string, port: number): InboundListener | undefined {
    this.keys.add(`inbound/${nodeId}/${port}`);
    return this.#reader.inbound(nodeId, port);
  }
}
