/**
 * Certified slices of streams: a part of the certified state that shows the header of a stream and some of its messages, with the
 * sending subnet's signature over the state's root hash. Everything here reads a certified tree, never the records, so that
 * slices can be cut where the tree is mirrored. What another subnet sent is decoded strictly and judged before it is used.
 */
import {
  type CborMap,
  decodeCbor,
  encodeCbor,
  equalBytes,
  err,
  OrreryError,
  ok,
  PRINCIPAL_BYTES_MAX,
  principalToText,
  type Result,
  readU64be,
  type SubnetId,
  u64be,
  utf8,
} from "@orrery/base";
import {
  BLS_SIGNATURE_BYTES,
  blsFromDer,
  type HashTree,
  hashTreeFromCbor,
  hashTreeToCbor,
  type LabelTree,
  listLabels,
  lookupAll,
  lookupPath,
  lookupSubtree,
  reconstruct,
  stateRootMessage,
  treeGet,
  witness,
} from "@orrery/crypto";
import {
  decodeStreamHeader,
  decodeStreamMessage,
  encodeStreamHeader,
  type ReplicatedState,
  type StreamHeader,
  type StreamMessage,
  streamHeaderPath,
  streamMessagePath,
} from "@orrery/state";

/** Signature, hashes around the slice, a header without reject signals: what a slice takes besides its messages. */
const SLICE_BYTES_BASE = 4 * 1024;
/** Labels, forks and pruned siblings of a message. */
const MESSAGE_BYTES_EXTRA = 64;

/** What has been taken over of the stream from a subnet, and of the stream to it by that subnet's signals. */
export interface ExpectedIndices {
  /** Index of the next message to be taken. */
  readonly messageIndex: bigint;
  /** First of our messages that no signal has come back for. */
  readonly signalIndex: bigint;
}

export interface SliceRequest extends ExpectedIndices {
  readonly to: SubnetId;
  /** Of the certified slice. */
  readonly maxBytes: number;
  readonly maxMessages: number;
}

/** A part of the certified state, to be signed. */
export interface StreamSlice {
  readonly source: SubnetId;
  readonly destination: SubnetId;
  readonly tree: HashTree;
  readonly messages: number;
}

export interface CertifiedSlice {
  readonly source: SubnetId;
  readonly destination: SubnetId;
  readonly tree: HashTree;
  readonly signature: Uint8Array;
  readonly header: StreamHeader;
  /** Index of the first message. */
  readonly begin: bigint;
  readonly messages: readonly StreamMessage[];
}

type TreeView = Pick<ReplicatedState, "tree" | "subnet">;

const LABELS = { streams: utf8("streams"), messages: utf8("messages") } as const;

function certifiedHeader(tree: LabelTree, subnet: SubnetId): StreamHeader | null {
  const bytes = treeGet(tree, streamHeaderPath(subnet));
  return bytes instanceof Uint8Array ? decodeStreamHeader(bytes) : null;
}

/** Where the next slice from `source` has to go on. */
export function expectedIndices(state: Pick<ReplicatedState, "tree">, source: SubnetId): ExpectedIndices {
  const header = certifiedHeader(state.tree, source);
  return { messageIndex: header?.signalsEnd ?? 0n, signalIndex: header?.begin ?? 0n };
}

/** Where the slice after `slice` has to go on: for those who order blocks ahead of their execution. */
export function indicesAfter(slice: CertifiedSlice): ExpectedIndices {
  return {
    messageIndex: slice.begin + BigInt(slice.messages.length),
    signalIndex: slice.header.signalsEnd,
  };
}

/** How far a stream goes, of what is certified. */
export interface StreamEnds {
  /** Index after its last message. */
  readonly messagesEnd: bigint;
  /** Index after the last message of the other direction that a signal goes back for. */
  readonly signalsEnd: bigint;
}

/** Of the stream to a subnet; null when there is none. */
export function streamEnds(state: Pick<ReplicatedState, "tree">, to: SubnetId): StreamEnds | null {
  const header = certifiedHeader(state.tree, to);
  return header === null ? null : { messagesEnd: header.end, signalsEnd: header.signalsEnd };
}

/**
 * Cuts what the subnet `to` has not seen: messages from `messageIndex` on, within the limits, and signals. Null when there is
 * neither, or when the indices are not of this stream.
 */
export function takeSlice(state: TreeView, request: SliceRequest): StreamSlice | null {
  const { to, messageIndex, signalIndex, maxBytes, maxMessages } = request;
  const header = certifiedHeader(state.tree, to);
  if (header === null || messageIndex < header.begin || messageIndex > header.end) return null;
  const paths: (readonly Uint8Array[])[] = [];
  // Its reject signals are as many as the messages that were not taken.
  let bytes = SLICE_BYTES_BASE + encodeStreamHeader(header).length;
  for (let index = messageIndex; index < header.end && paths.length < maxMessages; index++) {
    const path = streamMessagePath(to, index);
    const message = treeGet(state.tree, path);
    if (!(message instanceof Uint8Array)) break;
    bytes += message.length + MESSAGE_BYTES_EXTRA;
    if (bytes > maxBytes) break;
    paths.push(path);
  }
  if (paths.length === 0 && header.signalsEnd <= signalIndex) return null;
  // All of a stream is one subtree, which costs less than naming its leaves.
  const whole = messageIndex === header.begin && BigInt(paths.length) === header.end - header.begin;
  const shown = whole ? [[LABELS.streams, to]] : [streamHeaderPath(to), ...paths];
  return {
    source: state.subnet.subnetId,
    destination: to,
    tree: witness(state.tree, shown),
    messages: paths.length,
  };
}

/** `signature`: the sending subnet's, over the root hash of the state that the slice was cut from. */
export function certifySlice(slice: StreamSlice, signature: Uint8Array): Uint8Array {
  return encodeCbor({ source: slice.source, tree: hashTreeToCbor(slice.tree), signature });
}

function invalid(why: string): { readonly ok: false; readonly error: string } {
  return err(`not a certified stream slice: ${why}`);
}

/** Strict; the source is what the slice says of itself until it is verified. */
export function decodeCertifiedSlice(bytes: Uint8Array): Result<CertifiedSlice, string> {
  try {
    const value = decodeCbor(bytes);
    if (!(value instanceof Map)) return invalid("it is not a map");
    const fields = value as CborMap;
    const source = fields.get("source");
    const signature = fields.get("signature");
    if (!(source instanceof Uint8Array) || source.length > PRINCIPAL_BYTES_MAX)
      return invalid("it names no subnet");
    if (!(signature instanceof Uint8Array) || signature.length !== BLS_SIGNATURE_BYTES)
      return invalid(`its signature is not ${BLS_SIGNATURE_BYTES} bytes`);
    const tree = hashTreeFromCbor(fields.get("tree"));
    const content = contentOf(tree);
    return content.ok ? ok({ source: source as SubnetId, signature, tree, ...content.value }) : content;
  } catch (cause) {
    if (cause instanceof OrreryError) return invalid(cause.message);
    throw cause;
  }
}

function contentOf(
  tree: HashTree,
): Result<Pick<CertifiedSlice, "destination" | "header" | "begin" | "messages">, string> {
  const streams = lookupSubtree(tree, [LABELS.streams]);
  const shown = streams.kind === "found" ? listLabels(streams.value) : [];
  const [destination] = shown.filter((subnet) => lookupPath(tree, streamHeaderPath(subnet)).kind === "found");
  if (destination === undefined) return invalid("it shows no stream");
  const headerBytes = lookupPath(tree, streamHeaderPath(destination));
  if (headerBytes.kind !== "found") return invalid("it shows no header");
  const header = decodeStreamHeader(headerBytes.value);
  const leaves = lookupAll(tree, [LABELS.streams, destination, LABELS.messages]);
  const first = leaves[0]?.path[3];
  const begin = first?.length === 8 ? readU64be(first) : header.begin;
  const messages: StreamMessage[] = [];
  for (const { path, value } of leaves) {
    const index = begin + BigInt(messages.length);
    if (path.length !== 4 || !equalBytes(path[3] as Uint8Array, u64be(index)))
      return invalid("its messages do not follow each other");
    messages.push(decodeStreamMessage(value));
  }
  if (begin < header.begin || begin + BigInt(messages.length) > header.end)
    return invalid("its messages are not those of its header");
  return ok({ destination: destination as SubnetId, header, begin, messages });
}

export interface VerifySliceOptions {
  readonly source: SubnetId;
  /** The subnet that the slice must be for. */
  readonly destination: SubnetId;
  /** The sending subnet's key. */
  readonly publicKeyDer: Uint8Array;
  /** Takes the 96 bytes of the key. */
  readonly verifyBls: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
}

/** Whether the slice is what `source` certified for `destination`; the error says what is wrong with it. */
export function verifySlice(slice: CertifiedSlice, options: VerifySliceOptions): Result<null, string> {
  const { source, destination, publicKeyDer, verifyBls } = options;
  if (!equalBytes(slice.source, source))
    return err(`a slice of subnet ${principalToText(slice.source)}, not of ${principalToText(source)}`);
  if (!equalBytes(slice.destination, destination))
    return err(`a slice for subnet ${principalToText(slice.destination)}`);
  const key = blsFromDer(publicKeyDer);
  if (!key.ok) return err(`the key of subnet ${principalToText(source)} is not a DER BLS key: ${key.error}`);
  return verifyBls(key.value, stateRootMessage(reconstruct(slice.tree)), slice.signature)
    ? ok(null)
    : err("the slice's signature does not verify");
}

/**
 * Whether a slice goes on where `expected` is, on a stream to its source that ends at `sentEnd`: messages from the next one on,
 * signals for messages that there are. What the source said before may be said again.
 */
export function sliceFits(
  slice: CertifiedSlice,
  expected: ExpectedIndices,
  sentEnd: bigint,
): Result<null, string> {
  const { header, begin, messages } = slice;
  if (messages.length > 0 && begin !== expected.messageIndex)
    return err(`its messages begin at ${begin}, expected ${expected.messageIndex}`);
  if (expected.messageIndex < header.begin || expected.messageIndex > header.end)
    return err(`its header does not reach message ${expected.messageIndex}`);
  if (header.signalsEnd < expected.signalIndex || header.signalsEnd > sentEnd)
    return err(`its signals end at ${header.signalsEnd}, expected ${expected.signalIndex} to ${sentEnd}`);
  if (header.rejectSignals.some(({ index }) => index >= header.signalsEnd))
    return err("a reject signal beyond its signals' end");
  return ok(null);
}
