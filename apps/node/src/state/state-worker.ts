/**
 * The state thread: tells peers states of this node's past, and takes a state from peers where this node has fallen behind or come to another
 * one. It starts when it is first needed and ends when it has nothing to do; main and execution go on meanwhile.
 */
import { parentPort, workerData } from "node:worker_threads";
import { assert, equalBytes, toHex } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { createChannel, createFileDisk, installFastHashes, reportFailures } from "@orrery/host";
import { pinNetwork, storeDirectory } from "@orrery/host/kept-stores";
import { openNewest, type PinnedStore, type StateAsk, type StateChunk, StateDescriber } from "@orrery/state";
import type { About, SubnetIndex, WorkerStart } from "../protocol.ts";
import { Receptions } from "./receptions.ts";
import type { StateCall, StateTaken, TellCall } from "./state-calls.ts";
import { ToldState } from "./told-state.ts";

/** Pages of this node's own state in memory while what it has is looked for. */
const OWN_PAGES_MAX = 4_096;
/** A state that was asked for within this time is still being taken: no other one takes its place. */
const TAKEN_MS = 20_000;

const { stateDirectory } = workerData as WorkerStart;
installFastHashes();
assert(parentPort !== null, "the state worker runs as a worker thread");
reportFailures(parentPort);

let signatures: Promise<Bls> | null = null;
const told = new Map<SubnetIndex, { readonly state: ToldState; askedMs: number }>();
const receptions = new Receptions({
  diskOf: (subnet) => createFileDisk(storeDirectory(stateDirectory, subnet)),
  ownOf: ownState,
});

createChannel<never, never, never, About<StateCall>>(parentPort, {
  onPost(): void {},
  async onCall(call): Promise<readonly Uint8Array[] | StateAsk | StateTaken | null> {
    if (call.kind !== "tell") return receptions.answer(call);
    return (await stateToTell(call))?.tell(call.ask) ?? [];
  },
});

async function stateToTell({
  subnet,
  height,
  stateHash,
  isNewest,
}: About<TellCall>): Promise<ToldState | null> {
  signatures ??= createMclBls();
  const bls = await signatures;
  const known = told.get(subnet);
  const nowMs = performance.now();
  if (known !== undefined && equalBytes(known.state.stateHash, stateHash)) {
    known.askedMs = nowMs;
    return known.state;
  }
  if (!isNewest || (known !== undefined && nowMs < known.askedMs + TAKEN_MS)) return null;
  known?.state.close();
  told.delete(subnet);
  const state = ToldState.open({ stateDirectory, subnet, bls, height, stateHash });
  if (state !== null) told.set(subnet, { state, askedMs: performance.now() });
  return state;
}

/** What the newest checkpoint has, by hash; looked through when it is first asked for. */
function ownState(subnet: SubnetIndex): (hash: string) => Uint8Array | null {
  let read: ((hash: string) => Uint8Array | null) | null = null;
  return (hash) => {
    read ??= describeOwn(subnet);
    return read(hash);
  };
}

function describeOwn(subnet: SubnetIndex): (hash: string) => Uint8Array | null {
  const { stores } = pinNetwork(stateDirectory);
  const { loaded } = openNewest(stores[subnet] as PinnedStore, { hotPagesMax: OWN_PAGES_MAX });
  if (loaded === null) return () => null;
  const { state, arena } = loaded;
  const describer = new StateDescriber(arena);
  const chunks = new Map<string, StateChunk>();
  for (const chunk of describer.manifest(state).chunks) chunks.set(toHex(chunk.hash), chunk);
  return (hash) => {
    const chunk = chunks.get(hash);
    return chunk === undefined ? null : describer.read(state, chunk);
  };
}
