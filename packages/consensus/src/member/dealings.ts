/**
 * Dealings of key generation: made once in an interval by each of its members, offered to all, and put into blocks, from which the summary
 * that closes the interval takes them. A block's dealings are judged like the rest of it.
 */
import {
  type Block,
  type BlockPayload,
  type CborValue,
  DEALINGS_PER_BLOCK_MAX,
  encodeCborBare,
  type Height,
  OrreryError,
  type SubnetId,
} from "@orrery/base";
import { decodeExactly } from "../exact.ts";
import { decodeSummary, type Summary } from "../summary-codec.ts";
import { type DealingArtifact, dealingContent, type HashKey } from "./artifacts.ts";
import type { DutyView } from "./duties.ts";
import type { Pool } from "./pool.ts";
import { configOf, dealtIn, type IntervalContext, summaryAfter, transcriptOf } from "./summary.ts";
import type { DealtKeys, Dkg, DkgConfig, MemberCrypto } from "./types.ts";
import { isForOther } from "./versions.ts";

type View = Pick<DutyView, "pool" | "environment" | "schedule">;

export function encodeDealing({ height, keys, signer, dealing, signature }: DealingArtifact): Uint8Array {
  return encodeCborBare([height, keys, signer, dealing, signature]);
}

/** `block_invalid` for anything else. */
export function decodeDealing(bytes: Uint8Array): DealingArtifact {
  return decodeExactly(bytes, { what: "a dealing", read: readDealing, encode: encodeDealing });
}

export const DEALT_KEYS: readonly DealtKeys[] = ["low", "high", "remote_low", "remote_high"];

const isNatural = (value: CborValue | undefined): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

function readDealing(value: CborValue): DealingArtifact {
  const fields = Array.isArray(value) ? (value as readonly CborValue[]) : [];
  const [height, keys, signer, dealing, signature] = fields;
  const isKeys = DEALT_KEYS.includes(keys as DealtKeys);
  const isBytes = dealing instanceof Uint8Array && signature instanceof Uint8Array;
  if (!isNatural(height) || !isNatural(signer) || !isKeys || !isBytes)
    throw new OrreryError("block_invalid", "not a dealing: its fields");
  return { kind: "dealing", height, keys: keys as DealtKeys, signer, dealing, signature };
}

/** One text for what a dealer deals once. */
export const dealingKey = (keys: DealtKeys, signer: number): HashKey => `${keys}/${signer}`;

/** The interval that began at a height on the chain that ends at `tip`. */
export function intervalAt(
  { pool }: Pick<View, "pool">,
  start: Height,
  tip: { readonly height: Height; readonly hash: Uint8Array },
): IntervalContext | null {
  if (start === pool.start.tip.height) {
    const { summary, tip: first } = pool.start;
    return summary === undefined ? null : { start, summary, registryVersion: first.registryVersion };
  }
  const block = pool.finalizedAt(start)?.block ?? pool.chain(tip.height, tip.hash, start - 1).at(-1);
  const encoded = block?.payload.summary;
  if (block === undefined || encoded === undefined) return null;
  return { start, summary: decodeSummary(encoded), registryVersion: block.context.registryVersion };
}

/** `later` where the registry is behind; null where the interval has no such run. */
function configFor(
  { environment }: Pick<View, "environment">,
  interval: IntervalContext,
  keys: DealtKeys,
): DkgConfig | null | "later" {
  const record = environment.intervals?.record(interval.registryVersion) ?? null;
  return record === null ? "later" : configOf(interval, record, keys);
}

/** All that is dealt in the interval; nothing where the registry is behind. */
function dealtFor(
  { environment }: Pick<View, "environment">,
  interval: IntervalContext,
): readonly DealtKeys[] {
  const record = environment.intervals?.record(interval.registryVersion) ?? null;
  return record === null ? [] : dealtIn(interval, record);
}

/** The interval of a height, once its summary is final. */
function finalInterval({ pool, schedule }: View, height: Height): IntervalContext | null {
  const start = schedule.startOf(height);
  if (start === null || start > pool.finalizedHeight) return null;
  const hash = pool.finalizedAt(pool.finalizedHeight)?.hash ?? pool.start.tip.hash;
  return intervalAt({ pool }, start, { height: pool.finalizedHeight, hash });
}

/** What transcripts were last asked for of. */
const combined = new WeakMap<Dkg, readonly DealingArtifact[]>();

/** Has transcripts made of what final blocks have: a block that closes the interval takes them, and no dealing comes after those that are enough. */
function combineAhead(view: View, interval: IntervalContext, dkg: Dkg): void {
  const { pool } = view;
  const tip = pool.finalizedAt(pool.finalizedHeight);
  const dealings =
    tip === null ? [] : dealingsIn(pool, interval, { height: pool.finalizedHeight, hash: tip.hash });
  if (dealings.length === 0 || combined.get(dkg) === dealings) return;
  combined.set(dkg, dealings);
  for (const keys of dealtFor(view, interval)) {
    const config = configFor(view, interval, keys);
    if (config !== null && config !== "later") transcriptOf(config, dealings, dkg);
  }
}

/** This member's dealings of the interval, as far as they are missing. */
export function deal(view: View): readonly DealingArtifact[] {
  const { pool, environment, schedule } = view;
  const { intervals } = environment;
  if (intervals === undefined) return [];
  const interval = finalInterval(view, pool.finalizedHeight);
  if (interval === null) return [];
  combineAhead(view, interval, intervals.dkg);
  const height = interval.start + 1;
  const place = schedule.at(interval.start);
  if (place === null || place.self === null) return [];
  const { self, crypto } = place;
  const round = pool.round(height);
  const made: DealingArtifact[] = [];
  const wanted = dealtFor(view, interval).filter((keys) => !round.dealings.has(dealingKey(keys, self)));
  for (const keys of wanted) {
    const config = configFor(view, interval, keys);
    const dealing =
      config === null || config === "later" ? "later" : intervals.dkg.createDealing(config, self);
    if (dealing === "later") continue;
    const message = dealingContent(environment.config.subnetId, { height, keys, dealing });
    made.push({ kind: "dealing", height, keys, signer: self, dealing, signature: crypto.sign(message) });
  }
  return made;
}

export type DealingVerdict = "valid" | "later" | { readonly invalid: string };

/** Dealings whose dealer signed them: a host may take many steps to judge them. */
const signed = new WeakMap<MemberCrypto, WeakSet<DealingArtifact>>();

function isSigned(subnetId: SubnetId, crypto: MemberCrypto, artifact: DealingArtifact): boolean {
  const known = signed.get(crypto) ?? new WeakSet();
  if (known.has(artifact)) return true;
  signed.set(crypto, known);
  if (!crypto.verify(artifact.signer, dealingContent(subnetId, artifact), artifact.signature)) return false;
  known.add(artifact);
  return true;
}

/** `interval`: the one that it is said to be of. */
function judgeDealing(view: View, interval: IntervalContext, artifact: DealingArtifact): DealingVerdict {
  const { environment, schedule } = view;
  const { height, keys, signer, dealing } = artifact;
  const place = schedule.at(interval.start);
  const config = configFor(view, interval, keys);
  if (place === null || config === "later" || environment.intervals === undefined) return "later";
  if (config === null) return { invalid: "its interval has no such keys" };
  if (height !== interval.start + 1) return { invalid: "its dealing is of another interval" };
  if (signer < 0 || signer >= place.members) return { invalid: "its dealer is not a member" };
  if (!isSigned(environment.config.subnetId, place.crypto, artifact))
    return { invalid: "its dealer did not sign it" };
  const verdict = environment.intervals.dkg.verifyDealing(config, signer, dealing);
  if (verdict === "later") return verdict;
  return verdict ? "valid" : { invalid: "the dealing is wrong" };
}

export function checkDealing(view: View, artifact: DealingArtifact): DealingVerdict {
  const { pool, environment } = view;
  if (environment.intervals === undefined) return { invalid: "keys of the subnet never change" };
  const interval = finalInterval(view, artifact.height - 1);
  if (interval === null) return "later";
  const known = pool.peek(artifact.height)?.dealings.get(dealingKey(artifact.keys, artifact.signer));
  const verdict = judgeDealing(view, interval, artifact);
  return verdict === "valid" && known !== undefined ? { invalid: "its dealer deals twice" } : verdict;
}

interface ChainEnd {
  readonly height: Height;
  readonly hash: Uint8Array;
}

/** Of dealings in blocks: they are looked at for every block above. */
const decoded = new WeakMap<Uint8Array, DealingArtifact>();

function dealingFrom(bytes: Uint8Array): DealingArtifact {
  const known = decoded.get(bytes);
  if (known !== undefined) return known;
  const dealing = decodeDealing(bytes);
  decoded.set(bytes, dealing);
  return dealing;
}

/** In the blocks of an interval up to each of its blocks. */
const dealtUpTo = new WeakMap<Block, readonly DealingArtifact[]>();

/** In the blocks of the interval up to `tip`, oldest first. */
function dealingsIn(pool: Pool, interval: IntervalContext, tip: ChainEnd): readonly DealingArtifact[] {
  const above: Block[] = [];
  let dealt: readonly DealingArtifact[] = [];
  for (const block of pool.descend(tip.height, tip.hash, interval.start)) {
    const known = dealtUpTo.get(block);
    if (known !== undefined) {
      dealt = known;
      break;
    }
    above.push(block);
  }
  for (const block of above.reverse()) {
    const { dealings } = block.payload;
    if (dealings !== undefined) dealt = [...dealt, ...dealings.map(dealingFrom)];
    dealtUpTo.set(block, dealt);
  }
  return dealt;
}

/** Whether a transcript takes no more than what the chain has. Blocks have no other: a summary would grow with them, beyond what a block carries. */
function isEnough(
  view: Pick<View, "environment">,
  interval: IntervalContext,
  inChain: readonly DealingArtifact[],
  keys: DealtKeys,
): boolean {
  const config = configFor(view, interval, keys);
  if (config === null || config === "later") return false;
  return inChain.filter((each) => each.keys === keys).length >= config.dealingsNeeded;
}

/** For the next block: of this member's pool, what the chain has not. */
export function dealingsFor(view: View, interval: IntervalContext, tip: ChainEnd): readonly Uint8Array[] {
  const { pool } = view;
  const known = pool.peek(interval.start + 1)?.dealings;
  if (known === undefined || known.size === 0) return [];
  const inChain = dealingsIn(pool, interval, tip);
  const there = new Set(inChain.map(({ keys, signer }) => dealingKey(keys, signer)));
  const wanted = new Set(DEALT_KEYS.filter((keys) => !isEnough(view, interval, inChain, keys)));
  return [...known]
    .filter(([key, { keys }]) => wanted.has(keys) && !there.has(key))
    .sort(([x], [y]) => (x < y ? -1 : 1))
    .slice(0, DEALINGS_PER_BLOCK_MAX)
    .map(([, dealing]) => encodeDealing(dealing));
}

export function judgeDealings(
  view: View,
  interval: IntervalContext,
  tip: ChainEnd,
  dealings: readonly Uint8Array[],
): DealingVerdict {
  if (dealings.length === 0) return "valid";
  let inChain = dealingsIn(view.pool, interval, tip);
  const there = new Set(inChain.map(({ keys, signer }) => dealingKey(keys, signer)));
  for (const bytes of dealings) {
    let dealing: DealingArtifact;
    try {
      dealing = dealingFrom(bytes);
    } catch (error) {
      return { invalid: (error as Error).message };
    }
    const key = dealingKey(dealing.keys, dealing.signer);
    if (there.has(key)) return { invalid: "it has a dealing twice" };
    if (isEnough(view, interval, inChain, dealing.keys))
      return { invalid: "it has a dealing more than its keys take" };
    there.add(key);
    inChain = [...inChain, dealing];
    const verdict = judgeDealing(view, interval, dealing);
    if (verdict !== "valid") return verdict;
  }
  return "valid";
}

/** The summary of the block above `tip`, which closes the interval; null where the registry is behind. */
export function closingSummary(
  { pool, environment }: View,
  interval: IntervalContext,
  tip: ChainEnd,
  registryVersion: number,
): Summary | "later" {
  const { intervals } = environment;
  const record = intervals?.record(interval.registryVersion) ?? null;
  const newest = intervals?.record(registryVersion) ?? null;
  if (intervals === undefined || record === null || newest === null) return "later";
  const dealings = dealingsIn(pool, interval, tip);
  return summaryAfter({ interval, record, dealings, newest, dkg: intervals.dkg });
}

/**
 * Whether nothing may be ordered in a block: the subnet stands still after the interval's summary, as far as its maker knew, or what comes
 * after it is for another program than this; or it goes on from there, and the block does not know the summary's state as certified. The
 * package of such a summary does not wait for that, and who goes on from it has nothing of what was ordered before.
 */
export function isHalting(
  { environment }: Pick<View, "environment">,
  interval: IntervalContext,
  block: Pick<Block["context"], "registryVersion" | "certifiedHeight">,
): boolean {
  const { halts, upgrades = false } = interval.summary;
  if (isForOther(environment, interval.summary)) return true;
  if (!halts && !upgrades) return false;
  if (block.certifiedHeight < interval.start) return true;
  return halts && (environment.intervals?.record(block.registryVersion)?.halts ?? false);
}

/** Without anything for execution. */
export function isEmpty({ ingress, queryStats, xnet, responses, holdsLong, subnets }: BlockPayload): boolean {
  const sections = [queryStats, xnet, responses, holdsLong, subnets];
  return ingress.length === 0 && sections.every((section) => section === undefined);
}
