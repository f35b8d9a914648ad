/**
 * The part of a block that comes from other subnets: which slices to ask for, which to take, and whether another maker's choice is
 * right. Blocks are made ahead of their execution, so `past` says what those that are not executed yet have taken.
 */
import {
  err,
  ok,
  type PrincipalKey,
  principalKey,
  type Result,
  type SubnetId,
  XNET_BYTES_PER_BLOCK_MAX,
  XNET_SLICES_PER_BLOCK_MAX,
} from "@orrery/base";
import { treeGet } from "@orrery/crypto";
import { decodeStreamHeader, type ReplicatedState, type SubnetInfo, streamHeaderPath } from "@orrery/state";
import { limitsOf } from "../limits.ts";
import { type Destination, routerOf } from "./routing.ts";
import {
  type CertifiedSlice,
  decodeCertifiedSlice,
  type ExpectedIndices,
  expectedIndices,
  indicesAfter,
  type SliceRequest,
  sliceFits,
  type VerifySliceOptions,
  verifySlice,
} from "./slices.ts";

/** Messages of one slice to a subnet that is not a system subnet. */
export const SLICE_MESSAGES_MAX = 10_000;

/** The state that blocks build on, and what the blocks after it took. */
export interface XnetContext {
  readonly state: Pick<ReplicatedState, "tree" | "subnet">;
  /** By source; not there: nothing since `state`. */
  readonly past: ReadonlyMap<PrincipalKey, ExpectedIndices>;
  readonly verifyBls: VerifySliceOptions["verifyBls"];
}

export function subnetKey(subnet: SubnetInfo, subnetId: SubnetId): Uint8Array | null {
  if (principalKey(subnetId) === principalKey(subnet.rootSubnetId)) return subnet.rootKey;
  const entry = subnet.routing.find((one) => principalKey(one.subnetId) === principalKey(subnetId));
  return entry?.publicKey ?? null;
}

/** The other subnets of the network, by ascending id. */
export function otherSubnets(subnet: SubnetInfo): readonly Destination[] {
  return routerOf(subnet).subnets.filter(({ own }) => !own);
}

/** What to ask `source` for: `takeSlice` there takes it as it is, with this subnet as `to`. */
export function sliceRequest(context: Omit<XnetContext, "verifyBls">, source: SubnetId): SliceRequest {
  const { state, past } = context;
  const expected = past.get(principalKey(source)) ?? expectedIndices(state, source);
  return {
    to: state.subnet.subnetId,
    ...expected,
    maxBytes: XNET_BYTES_PER_BLOCK_MAX,
    maxMessages: messageRoom(state, source),
  };
}

/** System subnets take only as much as leaves room for their own messages in the other direction. */
function messageRoom({ tree, subnet }: Pick<ReplicatedState, "tree" | "subnet">, source: SubnetId): number {
  if (subnet.type !== "system") return SLICE_MESSAGES_MAX;
  const header = treeGet(tree, streamHeaderPath(source));
  const limit = limitsOf("system").systemStreamMessages;
  if (!(header instanceof Uint8Array)) return limit;
  const { begin, end } = decodeStreamHeader(header);
  return Math.max(0, limit - Number(end - begin));
}

/** Judges one encoded slice for the next block. The error says why it is refused. */
export function judgeSlice(context: XnetContext, bytes: Uint8Array): Result<CertifiedSlice, string> {
  const { state, past, verifyBls } = context;
  const decoded = decodeCertifiedSlice(bytes);
  if (!decoded.ok) return decoded;
  const slice = decoded.value;
  const source = otherSubnets(state.subnet).find(({ key }) => key === principalKey(slice.source));
  const publicKeyDer = source === undefined ? null : subnetKey(state.subnet, source.subnetId);
  if (source === undefined || publicKeyDer === null) return err("a slice of no subnet of this network");
  const expected = past.get(source.key) ?? expectedIndices(state, source.subnetId);
  if (slice.messages.length === 0 && slice.header.signalsEnd === expected.signalIndex)
    return err("it brings nothing new");
  const own = treeGet(state.tree, streamHeaderPath(source.subnetId));
  // Blocks under way can only have added to the stream; what they added cannot have come back yet.
  const sentEnd = own instanceof Uint8Array ? decodeStreamHeader(own).end : 0n;
  const fits = sliceFits(slice, expected, sentEnd);
  if (!fits.ok) return fits;
  // The signature last: it costs most.
  const verified = verifySlice(slice, {
    source: source.subnetId,
    destination: state.subnet.subnetId,
    publicKeyDer,
    verifyBls,
  });
  return verified.ok ? ok(slice) : verified;
}

export interface ChosenSlices {
  /** For the block. */
  readonly xnet: readonly Uint8Array[];
  /** The same, decoded. */
  readonly taken: readonly CertifiedSlice[];
  /** Why others are wrong. */
  readonly refused: readonly string[];
}

/** The slices that go into a block, out of encoded ones that came in: those that are right, one of a subnet, within limits. */
export function chooseSlices(context: XnetContext, candidates: readonly Uint8Array[]): ChosenSlices {
  const xnet: Uint8Array[] = [];
  const taken: CertifiedSlice[] = [];
  const refused: string[] = [];
  const sources = new Set<PrincipalKey>();
  let bytes = 0;
  for (const candidate of candidates) {
    if (bytes + candidate.length > XNET_BYTES_PER_BLOCK_MAX || xnet.length >= XNET_SLICES_PER_BLOCK_MAX)
      continue;
    const slice = judgeSlice(context, candidate);
    if (!slice.ok) {
      refused.push(slice.error);
      continue;
    }
    const key = principalKey(slice.value.source);
    if (sources.has(key)) continue;
    sources.add(key);
    bytes += candidate.length;
    xnet.push(candidate);
    taken.push(slice.value);
  }
  return { xnet, taken, refused };
}

/** Whether another maker's slices are right; the error says which is not. */
export function validateSlices(context: XnetContext, xnet: readonly Uint8Array[]): Result<null, string> {
  const sources = new Set<PrincipalKey>();
  for (const bytes of xnet) {
    const slice = judgeSlice(context, bytes);
    if (!slice.ok) return slice;
    const key = principalKey(slice.value.source);
    if (sources.has(key)) return err("two slices of one subnet");
    sources.add(key);
  }
  return ok(null);
}

/** `past` once a block with these slices is made. */
export function pastAfter(
  past: ReadonlyMap<PrincipalKey, ExpectedIndices>,
  xnet: readonly Uint8Array[],
): ReadonlyMap<PrincipalKey, ExpectedIndices> {
  const next = new Map(past);
  for (const bytes of xnet) {
    const slice = decodeCertifiedSlice(bytes);
    if (slice.ok) next.set(principalKey(slice.value.source), indicesAfter(slice.value));
  }
  return next;
}
