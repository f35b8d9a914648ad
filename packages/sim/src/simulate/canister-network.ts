/**
 * A simulated network whose subnets execute canisters: the execution package on every node, streams between subnets with certificates that
 * their members signed, and users whose updates are counted by canisters, half of which call a canister of the next subnet. Judges what came of it:
 * each update that was ordered counted once, each call once, no cycle lost.
 */
import {
  ANONYMOUS,
  assert,
  type CanisterId,
  canisterIdFromIndex,
  canisterIndex,
  encodeCbor,
  type PrincipalKey,
  principalKey,
  toHex,
  u64be,
  utf8,
} from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { GenesisCanister, SliceRequest } from "@orrery/execution";
import { type LocalSubnet, localNetwork } from "@orrery/execution/local-network";
import type { ReplicatedState } from "@orrery/state";
import { leftovers, networkCycles } from "../network-checks.ts";
import { type Random, seededRandom } from "../random.ts";
import { CanisterApplication, expiryOf, verifyFilled } from "../subnet/canister-application.ts";
import { counterArgument, countersOf, isCalling } from "../subnet/counter-runner.ts";
import { SUBNET_START_NS } from "../subnet/run.ts";
import type { SimNode } from "../subnet/sim-node.ts";
import type { World } from "../subnet/world.ts";

const SECOND = 1_000_000_000n;
const CANISTERS = 2;
/** Ids within a subnet's allocation, away from those that it gives out. */
const FIRST_ID = 1_000n;
const START_CYCLES = 10n ** 15n;
const EXPIRES_AFTER_NS: bigint = 240n * SECOND;
/** What ends sooner is asked anew. */
const EXPIRES_SOON_NS: bigint = 60n * SECOND;
const BLS_KEY_BYTES = 96;

/** Keys that stand for BLS keys (ideal): nobody can compute with them. */
function idealPublicKey(secret: Uint8Array): Uint8Array {
  const key = new Uint8Array(BLS_KEY_BYTES);
  for (let at = 0; at < BLS_KEY_BYTES; at += 32) key.set(sha256(secret, u64be(BigInt(at))), at);
  return key;
}

export class CanisterNetwork {
  readonly #random: Random;
  readonly subnets: readonly LocalSubnet[];
  readonly #worlds: World[] = [];
  /** By subnet. */
  readonly #sent = new Map<number, number>();
  readonly #cycles: bigint;

  constructor(seed: number, subnetCount: number) {
    this.#random = seededRandom(seed, 5);
    this.subnets = localNetwork({
      seed: sha256(utf8(`simulated subnets ${seed}`)),
      subnets: Array.from({ length: subnetCount }, () => ({ type: "application", feeSize: 13 })),
      local: true,
      makers: { bls: { publicKey: idealPublicKey }, ed25519PublicKeyDer: (secret) => sha256(secret) },
    });
    this.#cycles = networkCycles(this.subnets.map((_, index) => this.application(index).state));
  }

  /** Of one node of a subnet. */
  application(index: number): CanisterApplication {
    const { info } = this.#subnet(index);
    const { chainKeys: _none, ...subnet } = info;
    return new CanisterApplication({
      subnet,
      time: SUBNET_START_NS,
      canisters: this.#canisters(index).map(
        (id): GenesisCanister => ({
          id,
          controllers: [ANONYMOUS],
          cycles: START_CYCLES,
          wasm: utf8("counter"),
          arg: new Uint8Array(0),
        }),
      ),
      neighbours: {
        slice: (source, request) => this.#slice(source, request),
        verifyBls: (key, message, signature) => this.#verify(key, message, signature),
      },
    });
  }

  /** In the order of the subnets. */
  add(world: World): void {
    this.#worlds.push(world);
  }

  #subnet(index: number): LocalSubnet {
    const subnet = this.subnets[index % this.subnets.length];
    assert(subnet !== undefined, "the network has subnets");
    return subnet;
  }

  #canisters(index: number): readonly CanisterId[] {
    const first = (canisterIndex(this.#subnet(index).info.allocation.start) as bigint) + FIRST_ID;
    return Array.from({ length: CANISTERS }, (_, i) => canisterIdFromIndex(first + BigInt(i)));
  }

  /** From whichever node of the subnet answers; one that misbehaves signs it wrongly. */
  #slice(source: PrincipalKey, request: SliceRequest): Uint8Array | null {
    const world = this.#worlds[this.subnets.findIndex(({ info }) => principalKey(info.subnetId) === source)];
    const up = world?.nodes.filter(({ isUp }) => isUp) ?? [];
    const node = up[this.#random.below(up.length)];
    if (world === undefined || node === undefined) return null;
    const slice = (node.application as CanisterApplication).sliceFor(request);
    if (slice === null || world.isHonest(node.index)) return slice;
    const wrong = slice.slice();
    const at = this.#random.below(wrong.length);
    wrong[at] = (wrong[at] as number) ^ 1;
    return wrong;
  }

  #verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    const key = toHex(publicKey);
    const index = this.subnets.findIndex(({ info }) => toHex(info.publicKey).endsWith(key));
    const crypto = this.#worlds[index]?.nodes[0]?.crypto;
    return crypto !== undefined && verifyFilled(crypto, message, signature);
  }

  /** A user's update of a canister of the subnet, to be sent now. */
  message(index: number, now: bigint): Uint8Array {
    const number = this.#sent.get(index) ?? 0;
    this.#sent.set(index, number + 1);
    const [own, callees] = [this.#canisters(index), this.#canisters(index + 1)];
    const callee = number % 2 === 0 ? (callees[CANISTERS - 1] as CanisterId) : null;
    const content = new Map<string, never>(
      Object.entries({
        request_type: "call",
        sender: ANONYMOUS,
        nonce: u64be(BigInt(number)),
        ingress_expiry: now + EXPIRES_AFTER_NS,
        canister_id: own[0],
        method_name: "run",
        arg: counterArgument(number, callee),
      }) as [string, never][],
    );
    return encodeCbor(new Map([["content", content]]) as never);
  }

  /** Whether nobody answers it any more, or soon will not. */
  endsSoon(message: Uint8Array, now: bigint): boolean {
    return (expiryOf(message) ?? 0n) < now + EXPIRES_SOON_NS;
  }

  /** Of an honest node of each subnet: the one that has come furthest. */
  #states(): readonly ReplicatedState[] {
    return this.#worlds.map((world) => {
      const [best] = world.nodes
        .filter(({ index }) => world.isHonest(index) && !world.checkers.corrupted.has(index))
        .map(({ application }: SimNode) => (application as CanisterApplication).state)
        .sort((a, b) => b.height - a.height);
      assert(best !== undefined, "a subnet has honest nodes");
      return best;
    });
  }

  /** Every call is answered, and every stream empty. */
  isAtRest(): boolean {
    return leftovers(this.#states()).length === 0;
  }

  /** What is wrong with what canisters counted, at rest. */
  problems(): readonly string[] {
    const states = this.#states();
    const problems: string[] = [];
    const sums = { calls: 0n, called: 0n, answered: 0n };
    for (const [index, { canisters, height }] of states.entries()) {
      const { blocks } = (this.#worlds[index] as World).checkers;
      const ordered = blocks
        .filter((block) => block.height <= height)
        .flatMap(({ payload }) => payload.ingress);
      sums.calls += BigInt(ordered.filter(isCalling).length);
      let updates = 0n;
      for (const { meta } of canisters.values()) {
        const counted = countersOf(meta);
        updates += counted.updates;
        sums.called += counted.called;
        sums.answered += counted.answered;
      }
      if (updates !== BigInt(ordered.length))
        problems.push(`subnet ${index}: ${ordered.length} updates are ordered, ${updates} counted`);
    }
    if (sums.called !== sums.calls || sums.answered !== sums.calls)
      problems.push(`${sums.calls} calls between canisters, ${sums.called} came, ${sums.answered} answered`);
    const cycles = networkCycles(states) - this.#cycles;
    if (cycles !== 0n) problems.push(`${cycles} cycles too many`);
    return problems;
  }
}
