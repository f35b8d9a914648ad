/**
 * The state thread: tells peers states of this node's past, and takes a state from peers where this node has fallen behind or come to another
 * one. It starts when it is first needed and ends when it has nothing to do; main and execution go on meanwhile.
 */
import { parentPort, workerData } from "node:worker_threads";
import { assert, toHex } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { createChannel, createFileDisk, installFastHashes, reportFailures } from "@orrery/host";
import { storeDirectory } from "@orrery/host/directory-content";
import { pinSubnets } from "@orrery/host/kept-stores";
import {
  openNewest,
  type PinnedStore,
  type StateAsk,
  type StateChunk,
  StateDescriber,
  StoredPageHashes,
} from "@orrery/state";
import type { About, SubnetIndex, WorkerStart } from "../protocol.ts";
import { Receptions } from "./receptions.ts";
import type { StateCall, StateTaken } from "./state-calls.ts";
import { ToldState } from "./told-state.ts";
import { ToldStates } from "./told-states.ts";

/** Pages of this node's own state in memory while what it has is looked for. */
const OWN_PAGES_MAX = 4_096;

const { stateDirectory } = workerData as WorkerStart;
installFastHashes();
assert(parentPort !== null, "the state worker runs as a worker thread");
reportFailures(parentPort);

let told: Promise<ToldStates> | null = null;
const receptions = new Receptions({
  diskOf: (subnet) => createFileDisk(storeDirectory(stateDirectory, subnet)),
  ownOf: ownState,
});

createChannel<never, never, never, About<StateCall>>(parentPort, {
  onPost(): void {},
  async onCall(call): Promise<readonly Uint8Array[] | StateAsk | StateTaken | null> {
    if (call.kind !== "tell") return receptions.answer(call);
    told ??= createMclBls().then(tellingStates);
    return (await told).tell(call);
  },
});

function tellingStates(bls: Bls): ToldStates {
  const hashes = new Map<SubnetIndex, StoredPageHashes>();
  const hashesOf = (subnet: SubnetIndex): StoredPageHashes => {
    const kept = hashes.get(subnet) ?? new StoredPageHashes();
    hashes.set(subnet, kept);
    return kept;
  };
  return new ToldStates({
    open: ({ subnet, height }) =>
      ToldState.open({ stateDirectory, subnet, bls, height, hashes: hashesOf(subnet) }),
    nowMs: () => performance.now(),
  });
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
  const { stores } = pinSubnets(stateDirectory);
  const { loaded } = openNewest(stores.get(subnet) as PinnedStore, { hotPagesMax: OWN_PAGES_MAX });
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
