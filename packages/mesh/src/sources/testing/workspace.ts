import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openStore, type Store } from "../../store/store.ts";
import { ManualClock } from "../../store/testing/manual-clock.ts";
import { openSources, type Sources } from "../sources.ts";

/** A configuration directory and a data directory of their own, with everything opened on them; removed by disposing. */
export class Workspace implements AsyncDisposable {
  readonly root: string = mkdtempSync(join(tmpdir(), "weft-sources-"));
  readonly config: string = join(this.root, "config");
  readonly clock: ManualClock = new ManualClock();
  store: Store;
  sources: Sources | undefined;

  constructor() {
    mkdirSync(this.config);
    this.store = this.#openStore();
  }

  async open(): Promise<Sources> {
    this.sources = await openSources({ store: this.store, clock: this.clock, directories: [this.config] });
    return this.sources;
  }

  /** As a restarted control plane: nothing is left but what is on disk. */
  async reopen(): Promise<Sources> {
    await this.sources?.close();
    this.store.close();
    this.store = this.#openStore();
    return this.open();
  }

  write(file: string, text: string): string {
    const path = join(this.config, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  remove(file: string): void {
    rmSync(join(this.config, file), { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sources?.close();
    this.store.close();
    rmSync(this.root, { recursive: true, force: true });
  }

  #openStore(): Store {
    const opened = openStore({ directory: join(this.root, "data"), clock: this.clock });
    if (opened.kind === "refused") throw new Error(opened.problem.message);
    return opened.store;
  }
}

/** A Service document. */
export function service(name: string, port = 7070, namespace = "shop"): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: ${namespace}
spec:
  selector:
    app: ${name}
  ports:
  - name: grpc
    port: ${port}
`;
}

/** A DestinationRule that asks for mTLS, or one with a mode that doesn't exist. */
export function rule(host: string, mode = "ISTIO_MUTUAL"): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: ${host}
  namespace: shop
spec:
  host: ${host}
  trafficPolicy:
    tls:
      mode: ${mode}
`;
}
