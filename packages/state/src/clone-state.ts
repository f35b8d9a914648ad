/**
 * A second state with the contents of a first, which goes its own way from then on. Page versions and blobs are shared, records that
 * are changed in place are copied, everything else is replaced as a whole by whoever changes it and may be shared as well. Costs the
 * records and the page tables, never the bytes. To be taken between two rounds.
 */
import { CanisterMap } from "./canister-map.ts";
import type { PageTable } from "./page-table.ts";
import { type SharedPages, shareTable } from "./snapshots.ts";
import type { CanisterSnapshot, CanisterState, InputQueues, ReplicatedState, Stream } from "./types.ts";
import type { RunningWork } from "./work.ts";

/** `pages`: of the arena that holds both. */
export function cloneState(state: ReplicatedState, pages: SharedPages): ReplicatedState {
  const canisters = new CanisterMap();
  for (const [key, canister] of state.canisters) canisters.set(key, cloneCanister(canister, pages));
  return {
    ...state,
    canisters,
    ingressHistory: mapValues(state.ingressHistory, (entry) => ({ ...entry })),
    pendingManagement: [...state.pendingManagement],
    outcalls: new Map(state.outcalls),
    managementQueue: [...state.managementQueue],
    streams: mapValues(state.streams, cloneStream),
    subnetOutputs: mapValues(state.subnetOutputs, (queue) => [...queue]),
    refunds: new Map(state.refunds),
    blobs: state.blobs.clone(),
    snapshots: mapValues(state.snapshots, (snapshot) => cloneSnapshot(snapshot, pages)),
    changedSnapshots: new Set(state.changedSnapshots),
    changed: {
      canisters: new Set(state.changed.canisters),
      ingress: new Set(state.changed.ingress),
      streams: new Set(state.changed.streams),
      nodes: new Set(state.changed.nodes),
      subnets: new Set(state.changed.subnets),
    },
  };
}

/** Gives every page of the state back: nobody may look at it afterwards. */
export function dropState(state: ReplicatedState, pages: SharedPages): void {
  const drop = (table: PageTable): void => table.forEachPage((id) => pages.retire(id));
  for (const { memory } of state.canisters.values()) {
    drop(memory.heap);
    drop(memory.stable);
  }
  for (const { memory } of state.snapshots.values()) {
    drop(memory.heap);
    drop(memory.stable);
    drop(memory.module);
  }
}

function cloneCanister(canister: CanisterState, pages: SharedPages): CanisterState {
  return {
    ...canister,
    meta: { ...canister.meta },
    memory: {
      heap: shareTable(canister.memory.heap, pages),
      stable: shareTable(canister.memory.stable, pages),
    },
    callContexts: mapValues(canister.callContexts, (context) => ({ ...context })),
    callbacks: new Map(canister.callbacks),
    queues: cloneQueues(canister.queues),
    outstandingByCallee: new Map(canister.outstandingByCallee),
    chunks: new Map(canister.chunks),
    queryStats: { ...canister.queryStats },
    consumed: new Map(canister.consumed),
    running: canister.running === null ? null : cloneWork(canister.running),
  };
}

function cloneQueues({ ingress, responses, requests, outputs }: InputQueues): InputQueues {
  return {
    ingress: [...ingress],
    responses: [...responses],
    requests: mapValues(requests, (queue) => [...queue]),
    outputs: mapValues(outputs, (queue) => [...queue]),
  };
}

function cloneWork(work: RunningWork): RunningWork {
  return { ...work };
}

function cloneStream(stream: Stream): Stream {
  return { ...stream, messages: [...stream.messages], rejectSignals: [...stream.rejectSignals] };
}

function cloneSnapshot(snapshot: CanisterSnapshot, pages: SharedPages): CanisterSnapshot {
  const { heap, stable, module } = snapshot.memory;
  return {
    ...snapshot,
    chunks: new Map(snapshot.chunks),
    memory: {
      heap: shareTable(heap, pages),
      stable: shareTable(stable, pages),
      module: shareTable(module, pages),
    },
  };
}

function mapValues<K, V>(map: ReadonlyMap<K, V>, copy: (value: V) => V): Map<K, V> {
  const copies = new Map<K, V>();
  for (const [key, value] of map) copies.set(key, copy(value));
  return copies;
}
