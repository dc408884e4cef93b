import type { ClusterConfig } from "./cluster.ts";
import type { LoadAssignment } from "./load-assignment.ts";
import { clusterType, loadAssignmentType } from "./resource-type.ts";
import type { Watch, XdsClient } from "./xds-client.ts";

/** What calls of one cluster can be given. The same object until something changes. */
export type ClusterView =
  /** The control plane has not said enough yet. */
  | { readonly kind: "pending" }
  | { readonly kind: "ready"; readonly config: ClusterConfig; readonly assignment: LoadAssignment }
  /** Definitely nothing: `reason` names the resource. */
  | { readonly kind: "failed"; readonly reason: string };

const pending: ClusterView = { kind: "pending" };

/** Follows one cluster and its endpoints. What was ready stays so while a replacement is only half there. */
export class ClusterWatch {
  readonly #client: XdsClient;
  readonly #name: string;
  readonly #changed: () => void;
  readonly #cluster: Watch<ClusterConfig>;
  #endpoints: { readonly name: string; readonly watch: Watch<LoadAssignment> } | undefined;
  #view: ClusterView = pending;

  /** `changed` is called after `view` did, never from within the constructor. */
  constructor(client: XdsClient, name: string, changed: () => void) {
    this.#client = client;
    this.#name = name;
    this.#changed = changed;
    this.#cluster = client.watch(clusterType, name, () => this.#update());
    this.#settle();
  }

  get view(): ClusterView {
    return this.#view;
  }

  close(): void {
    this.#cluster.close();
    this.#endpoints?.watch.close();
  }

  #update(): void {
    const before = this.#view;
    this.#settle();
    if (this.#view !== before) this.#changed();
  }

  #settle(): void {
    const next = this.#next();
    const before = this.#view;
    if (next.kind === "pending" && before.kind === "ready") return;
    if (next.kind === "ready" && before.kind === "ready") {
      if (next.config === before.config && next.assignment === before.assignment) return;
    }
    if (next.kind === "failed" && before.kind === "failed" && next.reason === before.reason) return;
    this.#view = next;
  }

  #next(): ClusterView {
    const cluster = this.#cluster.status;
    switch (cluster.kind) {
      case "requested":
        return pending;
      case "absent":
        return this.#fail(`cluster "${this.#name}" does not exist in the control plane`);
      case "refused":
        return this.#fail(`cluster "${this.#name}" is invalid: ${cluster.problem}`);
      case "present":
        return this.#withEndpoints(cluster.config);
    }
  }

  #fail(reason: string): ClusterView {
    this.#endpoints?.watch.close();
    this.#endpoints = undefined;
    return { kind: "failed", reason };
  }

  #withEndpoints(config: ClusterConfig): ClusterView {
    const name = config.endpoints;
    if (this.#endpoints?.name !== name) {
      this.#endpoints?.watch.close();
      this.#endpoints = { name, watch: this.#client.watch(loadAssignmentType, name, () => this.#update()) };
    }
    const endpoints = this.#endpoints.watch.status;
    switch (endpoints.kind) {
      case "requested":
        return pending;
      case "absent":
        return { kind: "failed", reason: `endpoints "${name}" do not exist in the control plane` };
      case "refused":
        return { kind: "failed", reason: `endpoints "${name}" are invalid: ${endpoints.problem}` };
      case "present":
        return { kind: "ready", config, assignment: endpoints.config };
    }
  }
}
