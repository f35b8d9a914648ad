/**
 * Subnets that the members of a simulated one create, judged from outside: a package of the subnet says each of them in the end, its nodes can sign
 * under its key, and nobody else can.
 */
import { AssertionError, equalBytes, type NodeId, type SubnetId, toHex, utf8 } from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import {
  type CatchUpPackage,
  catchUpHash,
  decodeSummary,
  type Epoch,
  type FoundedEpoch,
  type KeySet,
  type MemberCrypto,
  thresholdContent,
} from "@orrery/consensus/member";
import { neededOf } from "./ideal-keys.ts";
import type { Packages } from "./packages.ts";
import type { SimRegistry } from "./sim-registry.ts";
import { type Created, type Judged, judgeSummaries } from "./summaries.ts";
import type { Keys } from "./world-nodes.ts";

interface Creating extends Judged {
  readonly registry: Pick<SimRegistry, "record" | "idOf" | "newest">;
  readonly packages: Pick<Packages, "all">;
  readonly subnetId: SubnetId;
}

type Watched = Creating & { readonly checkers: { readonly violations: readonly string[] } };

const foundedIn = ({ block }: Pick<CatchUpPackage, "block">): FoundedEpoch | null => {
  const { summary } = block.payload;
  return (summary === undefined ? undefined : decodeSummary(summary).founded) ?? null;
};

/** Subnets that packages of the subnet create, by ascending place. */
export function foundedBy({ packages }: Pick<Creating, "packages">): readonly FoundedEpoch[] {
  return [...packages.all].flatMap((each) => foundedIn(each) ?? []).sort((a, b) => a.subnet - b.subnet);
}

/** How many the registry asks for that no package creates yet. */
export function creationsMissing(world: Pick<Creating, "packages" | "registry">): number {
  const there = new Set(foundedBy(world).map(({ subnet }) => subnet));
  return (world.registry.newest.planned ?? []).filter(({ subnet }) => !there.has(subnet)).length;
}

const MESSAGE: Uint8Array = utf8("what members of a new subnet sign");

type Shares = readonly (readonly [number, Uint8Array])[];

/** What somebody comes to who may not be able to: ideal keys and real ones refuse some of it. */
function attempt<T>(tried: () => T): T | null {
  try {
    return tried();
  } catch (error) {
    if (error instanceof AssertionError) return null;
    throw error;
  }
}

function cryptoOf(keys: Keys, nodeId: NodeId, epoch: Epoch): MemberCrypto {
  const crypto = keys.of(nodeId).load(epoch);
  if (crypto === "later") throw new AssertionError("keys of a simulation are there at once");
  return crypto;
}

/** Whether the shares come to a signature that others take. */
function signs(
  set: KeySet,
  members: readonly MemberCrypto[],
  shares: Shares,
  verifier: MemberCrypto,
): boolean {
  const whole = attempt(() => members[0]?.combine(set, MESSAGE, shares));
  return whole !== null && whole !== undefined && verifier.verifyWhole(set, MESSAGE, whole);
}

function sharesOf(set: KeySet, signers: readonly MemberCrypto[]): Shares {
  return signers.flatMap((signer, place) => {
    const share = attempt(() => signer.signShare(set, MESSAGE));
    return share === null ? [] : [[place, share] as const];
  });
}

/** What is wrong with one of the keys of a new subnet; `dealers`: the members that dealt it. */
function faultOfKey(keys: Keys, set: KeySet, { epoch, dealers }: Pick<Created, "epoch" | "dealers">) {
  const { members } = epoch;
  const needed = neededOf(set, members.length);
  const own = members.map((nodeId) => cryptoOf(keys, nodeId, epoch));
  const others = dealers.members.map((nodeId) => cryptoOf(keys, nodeId, epoch));
  const [verifier] = others as [MemberCrypto];
  const shares = sharesOf(set, own);
  const isOwn = shares.every(([place, share]) => verifier.verifyShare(set, place, MESSAGE, share));
  if (shares.length < members.length || !isOwn) return "a member of it has no share";
  if (!signs(set, own, shares.slice(-needed), verifier)) return `${needed} of its members do not sign`;
  if (signs(set, own, shares.slice(0, needed - 1), verifier)) return `${needed - 1} of its members sign`;
  const theirs = sharesOf(set, others);
  if (
    theirs.some(
      ([place, share]) => place < members.length && verifier.verifyShare(set, place, MESSAGE, share),
    )
  )
    return "who dealt it has a share";
  if (signs(set, others, theirs, verifier)) return "those who dealt it sign";
  const before = dealers.members.map((nodeId) => cryptoOf(keys, nodeId, dealers));
  return signs(set, before, sharesOf(set, before), verifier)
    ? "those who dealt it sign with their own"
    : null;
}

function faultsOfKeys(keys: Keys, all: readonly Created[]): readonly string[] {
  const seen = new Set<string>();
  return all.flatMap((created) => {
    const { subnet, epoch } = created;
    const faults = (["low", "high"] as const).flatMap((set) => faultOfKey(keys, set, created) ?? []);
    const name = toHex(epoch.transcripts.high);
    if (seen.has(name)) faults.push("another one has the same");
    seen.add(name);
    return faults.map((fault) => `the key of subnet ${subnet}: ${fault}`);
  });
}

/** Of packages: each is of the block that is final at its height, and signed by the subnet. */
function faultsOfPackages({ packages, checkers, keys, registry, subnetId }: Creating): readonly string[] {
  const blocks = new Map(checkers.blocks.map((block) => [block.height, block]));
  return [...packages.all].flatMap((catchUp) => {
    const { height, block, signature } = catchUp;
    const final = blocks.get(height);
    if (final === undefined || !equalBytes(blockHash(final), blockHash(block)))
      return [`the package of ${height} has another block`];
    if (final.payload.summary === undefined) return [`the package of ${height} has no summary`];
    const { current } = decodeSummary(final.payload.summary);
    const message = thresholdContent("catch_up", subnetId, height, catchUpHash(catchUp));
    const isSigned = cryptoOf(keys, registry.idOf(0), current).verifyWhole("high", message, signature);
    return isSigned ? [] : [`the package of ${height} is not the subnet's`];
  });
}

/** All that is wrong with a run by what came of it so far. */
export function violationsOf(world: Watched): readonly string[] {
  const { checkers, first, keys } = world;
  if (first === null) return checkers.violations;
  const { faults, created } = judgeSummaries(world);
  return [...checkers.violations, ...faults, ...faultsOfPackages(world), ...faultsOfKeys(keys, created)];
}
