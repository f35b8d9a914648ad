/**
 * Ideal key generation, simulated: a dealing is a hash under a secret that the simulation alone knows, and a transcript says whose dealings
 * it is of. Keys that come of it are ideal too (`ideal-keys.ts`). A fresh key is another one each time; a reshared one stays. Not for any
 * real network.
 */
import {
  type CborValue,
  concatBytes,
  decodeCbor,
  encodeCborBare,
  equalBytes,
  type NodeId,
  toHex,
  u64be,
  utf8,
} from "@orrery/base";
import type { DealtKeys, Dkg, DkgConfig, Epoch, KeySet, MemberCrypto } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { type IdealKeys, neededOf } from "./ideal-keys.ts";

/** Of the subnet: reshared ever since. */
export const SUBNET_KEY: Uint8Array = utf8("the subnet's own key");

export class IdealDkg {
  readonly #secret: Uint8Array;
  readonly #keys: IdealKeys;
  /** What dealings were made for: each is judged by every member, many times. */
  readonly #origins = new WeakMap<Uint8Array, { readonly config: DkgConfig; readonly dealer: number }>();

  constructor(seed: number, keys: IdealKeys) {
    this.#secret = sha256(concatBytes(utf8("ideal dealings"), u64be(BigInt(seed))));
    this.#keys = keys;
  }

  #dealing(config: DkgConfig, dealer: number): Uint8Array {
    const { start, keys, registryVersion, dealers, receivers, reshared } = config;
    const about: readonly CborValue[] = [
      start,
      keys,
      registryVersion,
      dealers as readonly CborValue[],
      receivers as readonly CborValue[],
      reshared,
      dealer,
    ];
    return sha256(concatBytes(this.#secret, encodeCborBare(about)));
  }

  #isGood(config: DkgConfig, dealer: number, dealing: Uint8Array): boolean {
    const origin = this.#origins.get(dealing);
    if (origin !== undefined && origin.dealer === dealer && isSame(origin.config, config)) return true;
    const isGood = equalBytes(this.#dealing(config, dealer), dealing);
    if (isGood) this.#origins.set(dealing, { config, dealer });
    return isGood;
  }

  /** Members that begin together, with keys that nobody dealt. */
  genesis(members: readonly NodeId[], registryVersion: number): Epoch {
    return {
      registryVersion,
      members,
      transcripts: {
        low: this.#transcript("low", 0, new Uint8Array(0), members),
        high: this.#transcript("high", 0, SUBNET_KEY, members),
      },
    };
  }

  /** `key`: what its signatures are under; `made`: which run its shares are of. */
  #transcript(keys: DealtKeys, start: number, key: Uint8Array, members: readonly NodeId[]): Uint8Array {
    return encodeCborBare([keys, start, key, members as readonly CborValue[]]);
  }

  /** For the node. */
  of(nodeId: NodeId): Dkg {
    return {
      createDealing: (config, dealer) => this.#dealing(config, dealer),
      verifyDealing: (config, dealer, dealing) => this.#isGood(config, dealer, dealing),
      aggregate: (config, dealings) => {
        const good = dealings.filter(([dealer, each]) => this.#isGood(config, dealer, each));
        if (good.length < config.dealingsNeeded) return null;
        const key =
          config.reshared === null
            ? sha256(concatBytes(...good.map(([, dealing]) => dealing)))
            : (fieldsOf(config.reshared)[2] as Uint8Array);
        return this.#transcript(config.keys, config.start, key, config.receivers);
      },
      load: (epoch) => this.#crypto(epoch, nodeId),
    };
  }

  #crypto({ members, transcripts }: Epoch, nodeId: NodeId): MemberCrypto {
    const size = members.length;
    const nameOf = (index: number): string => toHex(members[index] ?? new Uint8Array(0));
    const own = toHex(nodeId);
    // Whom it was dealt to has a share, whoever the members are said to be.
    const receiversOf = (keys: KeySet): readonly string[] =>
      (fieldsOf(transcripts[keys])[3] as readonly Uint8Array[]).map(toHex);
    const receivers = { low: receiversOf("low"), high: receiversOf("high") };
    // Shares of one run are no good with shares of another, even under one key.
    const run = (keys: KeySet): string => toHex(sha256(transcripts[keys]));
    const whole = (keys: KeySet): string =>
      `${keys} key ${toHex(fieldsOf(transcripts[keys])[2] as Uint8Array)}`;
    const names = {
      low: { run: run("low"), whole: whole("low"), needed: neededOf("low", size) },
      high: { run: run("high"), whole: whole("high"), needed: neededOf("high", size) },
    };
    return this.#keys.named({
      own: `node ${own}`,
      basic: (index) => `node ${nameOf(index)}`,
      share: (keys, index) => `share ${names[keys].run} ${receivers[keys][index] ?? ""}`,
      ownShare: (keys) => `share ${names[keys].run} ${own}`,
      whole: (keys) => names[keys].whole,
      needed: (keys) => names[keys].needed,
    });
  }
}

function isSame(a: DkgConfig, b: DkgConfig): boolean {
  const [own, other] = [a.reshared, b.reshared];
  return (
    a.start === b.start &&
    a.keys === b.keys &&
    a.registryVersion === b.registryVersion &&
    areSame(a.dealers, b.dealers) &&
    areSame(a.receivers, b.receivers) &&
    (own === other || (own !== null && other !== null && equalBytes(own, other)))
  );
}

function areSame(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a === b || (a.length === b.length && a.every((each, index) => equalBytes(each, b[index] as NodeId)));
}

function fieldsOf(transcript: Uint8Array): readonly CborValue[] {
  return decodeCbor(transcript) as readonly CborValue[];
}
