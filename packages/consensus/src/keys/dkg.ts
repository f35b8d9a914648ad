/**
 * Key generation as consensus asks for it (`Dkg`), by `@orrery/crypto/dkg`. Each question is a job, named by everything that its answer
 * depends on; answers are remembered in bounds, since consensus asks the same again for every block. A host that does jobs elsewhere says
 * `later` until the answer is there.
 */
import { assert, equalBytes, type NodeId, type SubnetId, toHex, u64be, utf8 } from "@orrery/base";
import { type Bls, domainSep, sha256 } from "@orrery/crypto";
import {
  type DkgConfig as CurveConfig,
  decodeTranscript,
  encodeDkgConfig,
  type Transcript,
} from "@orrery/crypto/dkg";
import type { Dkg, DkgConfig, KeySet, MemberCrypto } from "../member/types.ts";
import type { Epoch } from "../summary-codec.ts";
import type { JobOf, KeyJob, KeyWork } from "./jobs.ts";
import { memberCrypto, type SharedKey } from "./member-crypto.ts";

/** Of two sets of keys, two intervals and all dealers of a subnet as large as there are. */
const ANSWERS_MAX = 512;
/** Transcripts and opened keys are large, or secret: of the interval, with a subnet that is created in it, the next one and the one before. */
const OPENED_MAX = 12;

/** What everybody may know of a node. */
export interface NodeKeys {
  /** Ed25519, 32 bytes. */
  readonly signing: Uint8Array;
  /** 48 bytes, whose proof of possession was accepted for the node (`verifyEncryptionKey`). */
  readonly encryption: Uint8Array;
}

export interface DkgMeans {
  readonly subnetId: SubnetId;
  readonly nodeId: NodeId;
  /** Null for nodes that are not known here yet. */
  readonly node: (nodeId: NodeId) => NodeKeys | null;
  readonly bls: Bls;
  /** By the node's own Ed25519 key. */
  readonly sign: (message: Uint8Array) => Uint8Array;
  /** Ed25519. */
  readonly verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
  /**
   * Does a job (`runKeyJob`), now or beside consensus. Asked again with the same job, and the same name of all that its answer depends
   * on, until it is done.
   */
  readonly compute: <K extends KeyJob["kind"]>(job: JobOf<K>, name: string) => KeyWork[K] | "later";
}

/** Remembers what was asked last. */
class Remembered<T> {
  readonly #max: number;
  readonly #known = new Map<string, T>();

  constructor(max: number) {
    this.#max = max;
  }

  of(name: string, make: () => T | "later"): T | "later" {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const made = make();
    if (made === "later") return made;
    if (this.#known.size >= this.#max) this.#known.delete(this.#known.keys().next().value as string);
    this.#known.set(name, made);
    return made;
  }
}

interface ReadTranscript {
  readonly name: string;
  readonly transcript: Transcript;
}

/** They are large, and asked about for every block. */
const read = new WeakMap<Uint8Array, ReadTranscript>();

function readTranscript(bytes: Uint8Array): ReadTranscript {
  const known = read.get(bytes);
  if (known !== undefined) return known;
  const decoded = decodeTranscript(bytes);
  assert(decoded.ok, "a transcript that members agreed on is one");
  const made = { name: toHex(sha256(bytes)), transcript: decoded.value };
  read.set(bytes, made);
  return made;
}

interface Run {
  /** Hash of its configuration. */
  readonly name: string;
  readonly config: Uint8Array;
}

class CurveDkg implements Dkg {
  readonly #means: DkgMeans;
  readonly #runs = new Remembered<Run>(OPENED_MAX);
  readonly #dealt = new Remembered<Uint8Array>(OPENED_MAX);
  readonly #judged = new Remembered<boolean>(ANSWERS_MAX);
  readonly #combined = new Remembered<{ readonly transcript: Uint8Array | null }>(OPENED_MAX);
  readonly #opened = new Remembered<SharedKey>(OPENED_MAX);
  readonly #loaded = new Remembered<MemberCrypto>(OPENED_MAX);

  constructor(means: DkgMeans) {
    this.#means = means;
  }

  #run(config: DkgConfig): Run | "later" {
    const { subnetId, node } = this.#means;
    const { start, keys, registryVersion, reshared } = config;
    const held = reshared === null ? null : readTranscript(reshared);
    return this.#runs.of(`${start}/${keys}/${registryVersion}/${held?.name}`, () => {
      const receivers: Uint8Array[] = [];
      for (const nodeId of config.receivers) {
        const known = node(nodeId);
        if (known === null) return "later";
        receivers.push(known.encryption);
      }
      const { threshold, dealers, dealingsNeeded } = config;
      const curveConfig: CurveConfig = {
        id: sha256(domainSep("orrery-dkg-run"), subnetId, u64be(BigInt(start)), utf8(keys)),
        threshold,
        receivers,
        dealers: dealers.length,
        dealingsNeeded,
        reshared: held?.transcript.coefficients ?? null,
      };
      const encoded = encodeDkgConfig(curveConfig);
      return { name: toHex(sha256(encoded)), config: encoded };
    });
  }

  createDealing(config: DkgConfig, dealer: number): Uint8Array | "later" {
    const run = this.#run(config);
    if (run === "later") return run;
    const name = `deal/${run.name}/${dealer}`;
    return this.#dealt.of(name, () => {
      const held = config.reshared === null ? null : this.#open(config.reshared, dealer);
      if (held === "later") return held;
      const share = held?.own ?? null;
      return this.#means.compute({ kind: "deal", config: run.config, dealer, share }, name);
    });
  }

  verifyDealing(config: DkgConfig, dealer: number, dealing: Uint8Array): boolean | "later" {
    const run = this.#run(config);
    if (run === "later") return run;
    const name = `judge/${run.name}/${dealer}/${toHex(sha256(dealing))}`;
    return this.#judged.of(name, () =>
      this.#means.compute({ kind: "judge", config: run.config, dealer, dealing }, name),
    );
  }

  aggregate(
    config: DkgConfig,
    dealings: readonly (readonly [number, Uint8Array])[],
  ): Uint8Array | null | "later" {
    const run = this.#run(config);
    if (run === "later") return run;
    const given = dealings.map(([, dealing]) => dealing);
    const name = `combine/${run.name}/${given.map((dealing) => toHex(sha256(dealing))).join("/")}`;
    const combined = this.#combined.of(name, () => {
      const transcript = this.#means.compute({ kind: "combine", config: run.config, dealings: given }, name);
      return transcript === "later" ? transcript : { transcript };
    });
    return combined === "later" ? combined : combined.transcript;
  }

  load(epoch: Epoch): MemberCrypto | "later" {
    const { low, high } = epoch.transcripts;
    const name = `${epoch.registryVersion}/${readTranscript(low).name}/${readTranscript(high).name}`;
    return this.#loaded.of(name, () => this.#load(epoch));
  }

  #load({ members, transcripts }: Epoch): MemberCrypto | "later" {
    const { bls, nodeId, node, sign, verify } = this.#means;
    const nodeKeys: Uint8Array[] = [];
    for (const member of members) {
      const known = node(member);
      if (known === null) return "later";
      nodeKeys.push(known.signing);
    }
    const index = members.findIndex((member) => equalBytes(member, nodeId));
    const place = index < 0 ? null : index;
    // Both are asked for before either is waited for.
    const [low, high] = [this.#open(transcripts.low, place), this.#open(transcripts.high, place)];
    if (low === "later" || high === "later") return "later";
    const sets: Readonly<Record<KeySet, SharedKey>> = { low, high };
    return memberCrypto({ bls, sets, nodeKeys, sign, verify });
  }

  #open(transcript: Uint8Array, place: number | null): SharedKey | "later" {
    const name = `open/${readTranscript(transcript).name}/${place}`;
    return this.#opened.of(name, () => this.#means.compute({ kind: "open", transcript, place }, name));
  }
}

/** For one node, of one subnet. */
export function createDkg(means: DkgMeans): Dkg {
  return new CurveDkg(means);
}
