/** Limits of the exchange between peers, each with its reason. All memory that a peer can take follows from them and from the channels'. */

/** Of the wire format; a frame of another one is refused, since peers of a subnet run one version at a time. */
export const WIRE_VERSION = 1;

/** A small frame waits for one large one at most: 3.5 ms at 300 Mbit/s. */
export const FRAME_BYTES_MAX: number = 128 * 1024;

/** Answers travel in pieces of this size, so that other frames pass between them. */
export const PIECE_BYTES: number = 64 * 1024;

/** What a label may say of an artifact: its kind, height, hash, expiry. */
export const LABEL_BYTES_MAX = 64;

/** Longest artifact that is sent without being asked for; longer ones are advertised. Leaves room for the head of its frame. */
export const PUSH_BYTES_MAX: number = 120 * 1024;

/** Below this an advertisement saves nothing over the artifact itself (the replica's bound as well). */
export const SMALL_BYTES_MAX = 1_024;

/** Parts that an artifact may be stripped of: those of a block with 1,000 ingress messages, and as many again. */
export const PARTS_MAX = 2_000;

/** Longest artifact or answer of all: a block with every section full has less. */
export const BODY_BYTES_MAX: number = 16 * 1024 * 1024;

/** Longest body of a request: the hashes of all parts of a block. */
export const REQUEST_BYTES_MAX: number = 96 * 1024;

/** Written and not taken by the connection yet, for each peer: what a new frame waits for, and all that is buffered. */
export const WINDOW_BYTES: number = 1024 * 1024;

/** Requests of ours to one peer that wait for answers: enough to fill a path of 300 Mbit/s and 250 ms with pieces. */
export const REQUESTS_PER_PEER_MAX = 16;

/**
 * Answers of one peer that may be under way to us, and one more, whatever its length: more than a path of 300 Mbit/s and 250 ms holds.
 * A share for each, so that a peer that owes much holds back nobody else's.
 */
export const ANSWERS_PER_PEER_BYTES_MAX: number = 16 * 1024 * 1024;

/** Failures of one peer to answer that are remembered: so many answers make up for them. */
export const FAILURES_MAX = 16;

/** Requests of one peer that wait for our answers; an honest one keeps to `REQUESTS_PER_PEER_MAX`, and what it cancels crosses answers. */
export const SERVED_PER_PEER_MAX: number = 4 * REQUESTS_PER_PEER_MAX;

/** Consumers' answers that wait to be sent to one peer; beyond, its requests are refused as busy. Live artifacts cost nothing here. */
export const SERVED_BYTES_MAX: number = 32 * 1024 * 1024;

/** Artifacts of one peer that came unasked and that nobody wants yet; what exceeds it is kept as an advertisement and fetched later. */
export const HELD_BYTES_MAX: number = 8 * 1024 * 1024;

/** Requests of consumers that are under way or wait for a peer. */
export const ASKED_MAX = 1_024;

/** Peers of one node: members of a subnet, and those that leave or join it. */
export const PEERS_MAX = 256;

const MS = 1_000_000n;
const SECOND: bigint = 1_000n * MS;

/** An answer takes at most this long, and a second more for each MiB. */
export const ANSWER_NS: bigint = 5n * SECOND;
export const ANSWER_NS_PER_MIB: bigint = SECOND;

/** Between attempts at the same thing: doubling from the first to the last, with up to half of it by chance. */
export const RETRY_FIRST_NS: bigint = 250n * MS;
export const RETRY_LAST_NS: bigint = 60n * SECOND;

/** A peer that takes nothing for so long while its window is full is dropped. */
export const SLOW_READER_NS: bigint = 30n * SECOND;

/** A dropped peer may come back after this, doubling with each time up to the last. */
export const BAN_FIRST_NS: bigint = SECOND;
export const BAN_LAST_NS: bigint = 300n * SECOND;

/** Without a fault for so long, earlier ones are forgotten. */
export const BAN_FORGOTTEN_NS: bigint = 600n * SECOND;

/** What a peer may send and make us do: a rate, and how much at once. */
export interface Allowance {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * Of one peer, for what was not asked for. `bytes`: a tenth of a gigabit link, and blocks of some heights at once. `messages`: the
 * shares of a subnet of 40 at its fastest are some hundreds a second; at once, all that a peer may have live in one channel.
 * `cost`: microseconds of this node's processor, as consumers report them.
 */
export const ALLOWANCES: {
  readonly bytes: Allowance;
  readonly messages: Allowance;
  readonly cost: Allowance;
} = {
  bytes: { perSecond: 12 * 1024 * 1024, burst: 64 * 1024 * 1024 },
  messages: { perSecond: 5_000, burst: 60_000 },
  cost: { perSecond: 200_000, burst: 5_000_000 },
};

/** Bytes of answers to one peer; what exceeds it waits. */
export const SERVED_ALLOWANCE: Allowance = { perSecond: 64 * 1024 * 1024, burst: 64 * 1024 * 1024 };

/** A peer that is throttled for longer than this, less a twentieth of the time that passes, is dropped. */
export const PATIENCE: Allowance = { perSecond: 50, burst: 10_000 };

/** Cost of every frame, beside what consumers report: reading and placing it. */
export const FRAME_COST = 5;

/** Cost that a consumer's report of an invalid artifact adds: some tens at once are a mistake, more is an attack. */
export const INVALID_COST = 250_000;
