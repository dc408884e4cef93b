import { z } from "zod";
import type { Workload, WorkloadListener, WorkloadState } from "../model/workload.ts";
import type { StoredRegistration } from "../store/records.ts";
import type { Claim } from "./hello.ts";

/** One registered instance as the registry holds it. Only registry.ts changes it. */
export interface Registration {
  claim: Claim;
  listeners: readonly WorkloadListener[];
  state: WorkloadState;
  lastSeenMs: number;
  /** Calls off the withdrawal of an instance whose session broke. */
  keep: (() => void) | undefined;
  /** Ends the open session, if there is one: another took its place, or the instance is gone. */
  endSession: ((reason: string) => void) | undefined;
  /** Set while a port of this instance is another's: tries the last Exports again, once that other one is gone. */
  reconsider: (() => void) | undefined;
  /** What `workloadFor` made last, and of which claim. */
  view: { readonly claim: Claim; readonly workload: Workload } | undefined;
}

const listener = z.strictObject({
  portName: z.string(),
  port: z.int(),
  boundAddress: z.string(),
  state: z.enum(["STARTING", "SERVING", "NOT_SERVING"]),
  interfaces: z.array(z.string()),
});
const record = z.strictObject({
  claim: z.strictObject({
    uid: z.string(),
    spiffeId: z.string(),
    namespace: z.string(),
    serviceAccount: z.string(),
    nodeId: z.string(),
    incarnation: z.string(),
    address: z.string(),
    labels: z.record(z.string(), z.string()),
    displayName: z.string(),
    sdk: z.string(),
  }),
  listeners: z.array(listener),
});

/** What the store keeps of a registration. */
export function storedFor({ claim, listeners, lastSeenMs }: Registration): StoredRegistration {
  return { id: claim.uid, record: JSON.stringify({ claim, listeners }), lastSeenMs };
}

/** The registration that the store kept, as one whose session is yet to return; undefined where the record isn't readable. */
export function registrationFrom(stored: StoredRegistration): Registration | undefined {
  let json: unknown;
  try {
    json = JSON.parse(stored.record);
  } catch {
    // Not JSON: a record of no version of ours; the instance registers again within seconds.
    return undefined;
  }
  const parsed = record.safeParse(json);
  if (!parsed.success) return undefined;
  return {
    claim: parsed.data.claim,
    listeners: parsed.data.listeners,
    state: "SUSPECT",
    lastSeenMs: stored.lastSeenMs,
    keep: undefined,
    endSession: undefined,
    reconsider: undefined,
    view: undefined,
  };
}

/** The registration as the rest of the mesh sees it: the same object for as long as nothing of it changed, so that changes are cheap to find. */
export function workloadFor(registration: Registration): Workload {
  const { claim, listeners, state, view } = registration;
  if (view?.claim === claim && view.workload.listeners === listeners && view.workload.state === state) {
    return view.workload;
  }
  const { sdk: _sdk, ...rest } = claim;
  const workload = { ...rest, state, listeners };
  registration.view = { claim, workload };
  return workload;
}
