/**
 * A member of a subnet with its peers on real sockets: the real consensus, exchange and transport; keys are ideal and execution is a chain of hashes
 * (both simulated). Artifacts travel in the runtime's own serialization, proposals without the messages that peers may have.
 */
import { deserialize, serialize } from "node:v8";
import { type Block, type BlockPayload, concatBytes, type SubnetId, toHex, utf8 } from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import {
  type Artifact,
  artifactId,
  Member,
  type MemberEffect,
  type MemberInput,
  type Payloads,
} from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import {
  nodeIdentity,
  type PeerAddress,
  type PeerEffect,
  type PeerRecord,
  type Peers,
  startPeers,
} from "@orrery/host/p2p";
import { TestTimers } from "@orrery/host/p2p/test-timers";
import {
  type Channel,
  fillBlock,
  ingressChannel,
  ingressLabel,
  PUSH_BYTES_MAX,
  stripBlock,
} from "@orrery/p2p";
import { IdealKeys } from "@orrery/sim/ideal-keys";

const MEMBERS = 4;
const MS = 1_000_000n;
const ARTIFACTS = 1;
const INGRESS = 2;
const MIB = 1024 * 1024;
const SUBNET = new Uint8Array(29).fill(5) as Uint8Array as SubnetId;
const START = 1_800_000_000_000n * MS;
const EXPIRES_NS = 60_000n * MS;

/** Of everybody: what is tested is not cryptography. */
const KEYS = new IdealKeys(1, MEMBERS);

export interface RealMemberOptions {
  readonly place: number;
  readonly listen: PeerAddress;
  /** Its pool takes no messages from others: it has to fetch what blocks name. */
  readonly isDeaf: boolean;
  readonly onFailure: (error: unknown) => void;
}

export class RealMember implements Payloads {
  readonly place: number;
  readonly blocks: Block[] = [];
  readonly certified: Set<number> = new Set();
  readonly events: PeerEffect[] = [];
  /** Messages that came with a block, because the pool did not have them. */
  fetched = 0;
  readonly #options: RealMemberOptions;
  readonly #member: Member;
  readonly #pool = new Map<string, Uint8Array>();
  readonly #ordered = new Set<string>();
  readonly #timers = new TestTimers();
  #rootHash = new Uint8Array(32);
  #now = START;
  #peers: Peers | null = null;

  constructor(options: RealMemberOptions) {
    this.#options = options;
    this.place = options.place;
    const environment = {
      config: {
        subnetId: SUBNET,
        self: options.place,
        members: MEMBERS,
        rules: { unitDelayNs: 1_000n * MS, initialNotaryDelayNs: 20n * MS, catchUpInterval: 1_000 },
      },
      crypto: KEYS.of(options.place),
      payloads: this,
      registryVersion: () => 1,
    };
    const tip = { height: 0, hash: new Uint8Array(32), time: START, certifiedHeight: 0, registryVersion: 1 };
    const start = { tip, beacon: sha256(utf8("genesis")) };
    this.#member = new Member(environment, start, { artifacts: [], stateHeight: 0 });
  }

  async connect(listen: PeerAddress = this.#options.listen): Promise<void> {
    this.#peers = await startPeers({
      self: `${this.place}`,
      identity: nodeIdentity(new Uint8Array(32).fill(this.place + 1)),
      listen,
      channels: this.#channels(),
      services: [],
      rng: { bytes: (length) => new Uint8Array(length).fill(9) },
      timers: this.#timers,
      onEffect: (effect) => this.#hear(effect),
      onFailure: this.#options.onFailure,
    });
  }

  get record(): PeerRecord {
    const { publicKey } = nodeIdentity(new Uint8Array(32).fill(this.place + 1));
    return { id: `${this.place}`, publicKey, address: this.peers.address };
  }

  get peers(): Peers {
    if (this.#peers === null) throw new Error(`member ${this.place} is not connected`);
    return this.#peers;
  }

  /** A client's message. */
  submit(message: Uint8Array): void {
    const requestId = sha256(message);
    this.#pool.set(toHex(requestId), message);
    const label = ingressLabel({ requestId, expiry: this.#now + EXPIRES_NS });
    this.peers.publish(INGRESS, toHex(requestId), { label, body: message, isUrgent: true });
  }

  /** Time of its clock, and of its connections. */
  pass(ns: bigint): void {
    this.#now += ns;
    this.#timers.advance(Number(ns / MS));
    this.#step({ kind: "time", now: this.#now });
  }

  build({ past }: Parameters<Payloads["build"]>[0]): BlockPayload {
    const before = new Set(past.flatMap(({ ingress }) => ingress.map((each) => toHex(sha256(each)))));
    const waiting = [...this.#pool].filter(([id]) => !before.has(id) && !this.#ordered.has(id));
    return { ingress: waiting.slice(0, 10).map(([, message]) => message) };
  }

  judge(): { readonly kind: "valid" } {
    return { kind: "valid" };
  }

  #channels(): readonly Channel[] {
    const artifacts: Channel = {
      number: ARTIFACTS,
      slotsMax: 10_000,
      bytesMax: 64 * MIB,
      artifactBytesMax: 4 * MIB,
      wholeBytesMax: 8 * MIB,
      pushBytesMax: PUSH_BYTES_MAX,
      wants: () => "now",
      part: (id) => this.#pool.get(toHex(id)) ?? null,
    };
    const ingress = ingressChannel({
      number: INGRESS,
      messageBytesMax: 2 * MIB,
      now: () => this.#now,
      isKnown: (id) => this.#options.isDeaf || this.#pool.has(id),
    });
    return [artifacts, ingress];
  }

  #hear(effect: PeerEffect): void {
    if (effect.kind !== "artifact") {
      this.events.push(effect);
      return;
    }
    if (effect.channel === INGRESS) {
      this.#pool.set(toHex(sha256(effect.body)), effect.body);
      return;
    }
    const come = deserialize(effect.body) as Artifact;
    const artifact =
      come.kind === "proposal" ? { ...come, block: fillBlock(come.block, effect.parts) } : come;
    for (const part of effect.parts) if (!this.#pool.has(toHex(sha256(part)))) this.fetched++;
    this.#step({ kind: "artifact", from: Number(effect.peer), artifact });
  }

  #step(input: MemberInput): void {
    for (const effect of this.#member.step(input)) this.#do(effect);
  }

  #do(effect: MemberEffect): void {
    switch (effect.kind) {
      case "publish":
        this.#publish(effect.artifact);
        return;
      case "retract":
        this.peers.retract(ARTIFACTS, effect.id);
        return;
      case "deliver": {
        const { block } = effect;
        this.blocks.push(block);
        for (const message of block.payload.ingress) this.#ordered.add(toHex(sha256(message)));
        this.#rootHash = new Uint8Array(sha256(concatBytes(this.#rootHash, blockHash(block))));
        this.#step({ kind: "executed", height: block.height, rootHash: this.#rootHash });
        return;
      }
      case "certified":
        this.certified.add(effect.certification.height);
        return;
      case "misbehaved":
      case "diverged":
        throw new Error(JSON.stringify(effect));
      default:
        return;
    }
  }

  #publish(artifact: Artifact): void {
    const label = utf8(artifactId(artifact)).subarray(0, 64);
    if (artifact.kind !== "proposal") {
      const body = new Uint8Array(serialize(artifact));
      this.peers.publish(ARTIFACTS, artifactId(artifact), { label, body, isUrgent: true });
      return;
    }
    const { skeleton, ingress } = stripBlock(artifact.block);
    const parts = ingress.map((bytes) => ({ id: sha256(bytes), bytes }));
    const body = new Uint8Array(serialize({ ...artifact, block: skeleton }));
    this.peers.publish(ARTIFACTS, artifactId(artifact), { label, body, parts, isUrgent: true });
  }
}
