/**
 * Messages a second between two subnets through `applyBatch` on one thread: a canister of one subnet calls one of the other again
 * and again, both subnets make blocks by turns, and slices go to and fro as they are certified and decoded. The limit is what
 * nobody can leave out: the same calls within one subnet. Signing and verifying state roots, a fixed cost of a block, are timed
 * apart. In processor time of the thread; ends with 1 when the target is missed. Run: node bench/src/xnet.ts [blocks]
 */
import {
  ANONYMOUS,
  type CanisterId,
  type CborValue,
  canisterIdFromIndex,
  encodeCbor,
  type Principal,
  type SubnetId,
  selfAuthenticating,
  toHex,
  utf8,
} from "@orrery/base";
import { blsToDer, requestId, secretFromSeed, stateRootMessage } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import {
  certifySlice,
  createExecution,
  decodeCertifiedSlice,
  type Execution,
  installGenesis,
  sliceRequest,
  takeSlice,
  verifySlice,
  WasmRunner,
} from "@orrery/execution";
import { inflateGzip, installFastHashes } from "@orrery/host";
import { newState, PageArena, type ReplicatedState } from "@orrery/state";
import { createEngine } from "@orrery/wasm";
import wabt from "wabt";
import { Gate } from "./lib/gate.ts";
import { playerSource } from "./lib/player.ts";
import { threadMilliseconds } from "./lib/thread-clock.ts";

const BLOCKS = Number(process.argv[2] ?? 40);
const WARM_BLOCKS = 10;
/** Conversations that go on at the same time. */
const PLAYERS = 500;
const HOPS = 100_000;
/** Messages a second. */
const RATE_MIN = 20_000;
const gate = new Gate();
const START_TIME = 1_700_000_000_000_000_000n;
const STEP_NS = 100_000_000n;

installFastHashes();
const bls = await createMclBls();
const assembler = await wabt();
const module = assembler.parseWat("player.wat", playerSource(HOPS));
const wasm = new Uint8Array(module.toBinary({}).buffer);

interface Subnet {
  readonly id: SubnetId;
  readonly secret: Uint8Array;
  readonly state: ReplicatedState;
  readonly arena: PageArena;
  readonly execution: Execution;
  rootHash: Uint8Array;
}

const IDS_EACH = 1_000n;
const idOf = (n: number): SubnetId => selfAuthenticating(utf8(`subnet ${n}`)) as Principal as SubnetId;
const rangeOf = (n: number): { start: CanisterId; end: CanisterId } => ({
  start: canisterIdFromIndex(BigInt(n) * IDS_EACH),
  end: canisterIdFromIndex(BigInt(n + 1) * IDS_EACH - 1n),
});

function makeSubnet(n: number, count: number, canisters: readonly CanisterId[]): Subnet {
  const secret = secretFromSeed(new Uint8Array(32).fill(n + 1));
  const key = blsToDer(bls.publicKey(secret));
  const arena = new PageArena();
  const state = newState({
    subnet: {
      subnetId: idOf(n),
      type: "application",
      publicKey: key,
      rootKey: key,
      rootSubnetId: idOf(0),
      routing: Array.from({ length: count }, (_, i) => ({ subnetId: idOf(i), ranges: [rangeOf(i)] })),
      allocation: rangeOf(n),
      nodes: [],
      feeSize: 13,
      local: true,
    },
    time: START_TIME,
  });
  const runner = new WasmRunner({
    engine: createEngine(),
    pages: arena,
    modules: state.blobs,
    inflate: inflateGzip,
  });
  const genesis = canisters.map((id) => ({
    id,
    controllers: [ANONYMOUS],
    cycles: 10n ** 18n,
    wasm,
    arg: new Uint8Array(0),
  }));
  installGenesis(state, runner, genesis);
  return {
    id: idOf(n),
    secret,
    state,
    arena,
    execution: createExecution(state, { runner, arena }),
    rootHash: new Uint8Array(32),
  };
}

interface Times {
  execution: number;
  slices: number;
  signatures: number;
}

function timed<T>(times: Times, part: keyof Times, action: () => T): T {
  const start = threadMilliseconds();
  const result = action();
  times[part] += threadMilliseconds() - start;
  return result;
}

/** One block of `to`, with what `from` has for it; the messages in it. */
function block(to: Subnet, from: Subnet | null, ingress: readonly Uint8Array[], times: Times): number {
  let messages = 0;
  const xnet: Uint8Array[] = [];
  if (from !== null) {
    const request = sliceRequest({ state: to.state, past: new Map() }, from.id);
    const slice = timed(times, "slices", () => takeSlice(from.state, request));
    if (slice !== null) {
      const signature = timed(times, "signatures", () =>
        bls.sign(from.secret, stateRootMessage(from.rootHash)),
      );
      const bytes = timed(times, "slices", () => certifySlice(slice, signature));
      const decoded = timed(times, "slices", () => decodeCertifiedSlice(bytes));
      if (!decoded.ok) throw new Error(decoded.error);
      const verified = timed(times, "signatures", () =>
        verifySlice(decoded.value, {
          source: from.id,
          destination: to.id,
          publicKeyDer: from.state.subnet.publicKey,
          verifyBls: (...parts) => bls.verify(...parts),
        }),
      );
      if (!verified.ok) throw new Error(verified.error);
      messages = slice.messages;
      xnet.push(bytes);
    }
  }
  const height = to.state.height + 1;
  to.arena.advance(height);
  const result = timed(times, "execution", () =>
    to.execution.applyBatch({
      height,
      time: to.state.time + STEP_NS,
      registryVersion: 1,
      randomness: new Uint8Array(32),
      ingress,
      ...(xnet.length === 0 ? {} : { xnet }),
    }),
  );
  to.rootHash = result.rootHash;
  to.arena.reclaim(height);
  return messages;
}

function plays(canister: CanisterId, peer: CanisterId): Uint8Array[] {
  return Array.from({ length: PLAYERS }, (_, i) => {
    const content = new Map<string, CborValue>([
      ["request_type", "call"],
      ["sender", ANONYMOUS],
      ["ingress_expiry", START_TIME + 240_000_000_000n],
      ["canister_id", canister],
      ["method_name", "play"],
      ["arg", peer],
      ["nonce", new Uint8Array(Float64Array.of(i).buffer)],
    ]);
    if (requestId(content).length !== 32) throw new Error(toHex(peer));
    return encodeCbor({ content });
  });
}

function report(name: string, messages: number, times: Times, limit: number): number {
  const { execution, slices, signatures } = times;
  const rate = (ms: number): string =>
    Math.round((messages * 1000) / ms)
      .toLocaleString("en")
      .padStart(9);
  console.log(
    name.padEnd(24),
    `${rate(execution)} messages/s in applyBatch,`,
    `${rate(execution + slices)} with slices cut and decoded,`,
    `signatures ${(signatures / (2 * BLOCKS)).toFixed(1)} ms a block`,
    limit === 0 ? "" : `(${(limit / (messages / execution)).toFixed(1)} × the time of one subnet)`,
  );
  return messages / execution;
}

const noTimes = (): Times => ({ execution: 0, slices: 0, signatures: 0 });

/** Both canisters on one subnet: messages a millisecond. */
function withinOneSubnet(): number {
  const { start, end } = rangeOf(0);
  const subnet = makeSubnet(0, 1, [start, end]);
  block(subnet, null, plays(start, end), noTimes());
  let times = noTimes();
  let before = 0n;
  for (let i = 0; i < WARM_BLOCKS + BLOCKS; i++) {
    if (i === WARM_BLOCKS) {
      times = noTimes();
      before = subnet.state.updateTransactionsTotal;
    }
    block(subnet, null, [], times);
  }
  return report("within one subnet", Number(subnet.state.updateTransactionsTotal - before), times, 0);
}

function betweenSubnets(limit: number): void {
  const [a, b] = [makeSubnet(0, 2, [rangeOf(0).start]), makeSubnet(1, 2, [rangeOf(1).start])];
  block(a, null, plays(rangeOf(0).start, rangeOf(1).start), noTimes());
  let times = noTimes();
  let messages = 0;
  for (let i = 0; i < WARM_BLOCKS + BLOCKS; i++) {
    if (i === WARM_BLOCKS) {
      times = noTimes();
      messages = 0;
    }
    messages += block(b, a, [], times);
    messages += block(a, b, [], times);
  }
  if (messages !== 2 * BLOCKS * PLAYERS)
    throw new Error(`${messages} messages in ${BLOCKS} blocks of each subnet`);
  const perMs = report("between two subnets", messages, times, limit);
  gate.atLeast("messages a second between two subnets, in applyBatch", perMs * 1_000, RATE_MIN);
}

betweenSubnets(withinOneSubnet());
process.exitCode = gate.exitCode();
