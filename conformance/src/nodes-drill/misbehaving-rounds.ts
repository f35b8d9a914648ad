/**
 * Takes the place of the node's own rounds in a process of the drill that is told to misbehave (`misbehave.ts`), and of no other: the real rounds with the
 * real member, and between what it says and its peers one of the simulator's misbehaving actors, with the node's own keys alone.
 * Peers hear the same of it: what the simulator tells one half of them goes to all.
 */

import type { SubnetId } from "@orrery/base";
import { type Artifact, artifactId, type Dkg, type MemberCrypto } from "@orrery/consensus/member";
import { type Actor, actorFor } from "@orrery/sim/misbehaving";
import { conduct, REAL_ROUNDS } from "./misbehave.ts";

interface Voice {
  publish(artifact: Artifact): void;
  retract(id: string): void;
}

/** What this reads of the options of a replica's rounds. */
interface RoundsOptions {
  readonly local: {
    readonly keys: { readonly subnetId: SubnetId };
    readonly info: { readonly nodes: readonly unknown[] };
  };
  readonly self: number;
  readonly keys: {
    readonly crypto: MemberCrypto;
    readonly intervals: { readonly dkg: Dkg } | null;
  };
  readonly voice: Voice;
}

type CreateRounds = (options: RoundsOptions, recovered: unknown) => unknown;

const real = (await import(REAL_ROUNDS)) as { readonly createReplicaRounds: CreateRounds };

/** Says what the actor of the moment makes of each artifact; what is retracted is retracted with all that was told in its place. */
class TwistedVoice implements Voice {
  readonly #voice: Voice;
  readonly #means: Parameters<typeof actorFor>[1];
  readonly #told = new Map<string, readonly string[]>();
  /** Of the interval that was loaded last; null before there is one. */
  #crypto: MemberCrypto | null;
  #actor: Actor;
  #generation = conduct.generation;
  #counted = 0;

  constructor({ voice, local, self, keys }: RoundsOptions) {
    this.#voice = voice;
    const nodes = local.info.nodes.length;
    this.#crypto = keys.intervals === null ? keys.crypto : null;
    this.#means = {
      subnetId: local.keys.subnetId,
      nodes,
      place: () => (this.#crypto === null ? null : { index: self, crypto: this.#crypto }),
    };
    this.#actor = this.#newActor();
  }

  #newActor(): Actor {
    return actorFor(conduct.how === null ? [] : [conduct.how], this.#means);
  }

  /** The same keys, of which this one has what the member has. */
  shared(keys: RoundsOptions["keys"]): RoundsOptions["keys"] {
    if (keys.intervals === null) return keys;
    const { dkg } = keys.intervals;
    const load: Dkg["load"] = (epoch) => {
      const crypto = dkg.load(epoch);
      if (crypto !== "later") this.#crypto = crypto;
      return crypto;
    };
    const shared: Dkg = {
      createDealing: (config, dealer) => dkg.createDealing(config, dealer),
      verifyDealing: (config, dealer, dealing) => dkg.verifyDealing(config, dealer, dealing),
      aggregate: (config, dealings) => dkg.aggregate(config, dealings),
      load,
    };
    return { ...keys, intervals: { ...keys.intervals, dkg: shared } };
  }

  publish(artifact: Artifact): void {
    if (this.#generation !== conduct.generation) {
      this.#generation = conduct.generation;
      this.#actor = this.#newActor();
      this.#counted = 0;
    }
    const say = this.#actor.say(artifact);
    const told = new Map<string, Artifact>();
    for (let to = 0; to < this.#means.nodes; to++)
      for (const each of say(to)) told.set(artifactId(each), each);
    const twisted = conduct.how === null ? 0 : (this.#actor.twisted.get(conduct.how) ?? 0);
    conduct.twisted += twisted - this.#counted;
    this.#counted = twisted;
    this.#told.set(artifactId(artifact), [...told.keys()]);
    for (const each of told.values()) this.#voice.publish(each);
  }

  retract(id: string): void {
    for (const each of this.#told.get(id) ?? [id]) this.#voice.retract(each);
    this.#told.delete(id);
  }
}

export function createReplicaRounds(options: RoundsOptions, recovered: unknown): unknown {
  const twisted = new TwistedVoice(options);
  // The rest of the voice is a closure's, which is taken along as it is.
  const voice = {
    ...options.voice,
    publish: twisted.publish.bind(twisted),
    retract: twisted.retract.bind(twisted),
  };
  return real.createReplicaRounds({ ...options, voice, keys: twisted.shared(options.keys) }, recovered);
}
