/**
 * Real keys for simulated subnets: BLS threshold signatures, and key generation and resharing as they are. Nodes' secrets follow from the run's
 * seed. What everybody computes alike, of the same bytes (whether a signature or a dealing holds, a transcript), is computed once for all
 * nodes of a run; what takes a node's own secret is that node's alone.
 */
import { assert, concatBytes, type NodeId, type SubnetId, toHex, u64be, utf8 } from "@orrery/base";
import {
  type BySet,
  combineFounding,
  createDkg,
  dealFounding,
  type Founders,
  type KeyJob,
  type KeyMeans,
  type KeyWork,
  type NodeKeys,
  runKeyJob,
} from "@orrery/consensus/keys";
import type { Dkg, Epoch } from "@orrery/consensus/member";
import { type Bls, deriveNodeSecrets, parsePublicKeyDer, type Signer, sha256 } from "@orrery/crypto";
import { ed25519Signer, nobleSignatures } from "@orrery/crypto/curves";
import { type Curve, createEncryptionKey, verifyEncryptionKey } from "@orrery/crypto/dkg";
import { createMclBls, createMclCurve } from "@orrery/crypto/mcl";
import type { KeySource } from "./world-nodes.ts";

/** Answers that are remembered, each of some bytes. */
const REMEMBERED_MAX = 100_000;

/** Of everything that a question is of. */
function nameOf(kind: string, ...parts: readonly Uint8Array[]): string {
  return toHex(sha256(utf8(kind), ...parts.flatMap((part) => [u64be(BigInt(part.length)), part])));
}

class Remembered<T> {
  readonly #known = new Map<string, T>();

  of(name: string, make: () => T): T {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (this.#known.size >= REMEMBERED_MAX) this.#known.clear();
    const made = make();
    this.#known.set(name, made);
    return made;
  }
}

interface NodeParts {
  readonly signer: Signer;
  readonly means: KeyMeans;
  readonly keys: NodeKeys;
}

export class RealKeys {
  readonly #seed: Uint8Array;
  readonly #subnetId: SubnetId;
  readonly #bls: Bls;
  readonly #curve: Curve;
  readonly #nodes = new Remembered<NodeParts>();
  readonly #verdicts = new Remembered<boolean>();
  readonly #jobs = new Remembered<KeyWork["judge"] | KeyWork["combine"]>();

  constructor(
    { bls, curve }: { readonly bls: Bls; readonly curve: Curve },
    seed: number,
    subnetId: SubnetId,
  ) {
    this.#seed = sha256(utf8("real keys"), u64be(BigInt(seed)));
    this.#subnetId = subnetId;
    this.#curve = curve;
    this.#bls = {
      ...bls,
      verify: (key, message, signature) =>
        this.#verdicts.of(nameOf("bls", key, message, signature), () => bls.verify(key, message, signature)),
    };
  }

  #node(nodeId: NodeId): NodeParts {
    return this.#nodes.of(toHex(nodeId), () => {
      const curve = this.#curve;
      const secrets = deriveNodeSecrets(sha256(this.#seed, nodeId));
      const signer = ed25519Signer(secrets.signing);
      const signing = parsePublicKeyDer(signer.publicKeyDer);
      const { secret, record } = createEncryptionKey(curve, secrets.encryption, nodeId);
      const encryption = verifyEncryptionKey(curve, record, nodeId);
      assert(signing.ok && signing.value.kind === "ed25519" && encryption.ok, "a node's keys are good");
      return {
        signer,
        means: { curve, encryptionSecret: secret, dealingSeed: secrets.dealing },
        keys: { signing: signing.value.key, encryption: encryption.value },
      };
    });
  }

  /** All deal to all. */
  genesis(members: readonly NodeId[], registryVersion: number): Epoch {
    const founders: Founders = {
      network: sha256(concatBytes(...members)),
      subnet: 0,
      nodes: members.map((member) => this.#node(member).keys),
    };
    const dealings = members.map(
      (member, place): BySet => dealFounding(this.#node(member).means, founders, place),
    );
    const transcripts = combineFounding(this.#curve, founders, dealings);
    assert(transcripts.ok, "honest founders make keys");
    return { registryVersion, members, transcripts: transcripts.value };
  }

  of(nodeId: NodeId): Dkg {
    const own = this.#node(nodeId);
    return createDkg({
      subnetId: this.#subnetId,
      nodeId,
      node: (other) => this.#node(other).keys,
      bls: this.#bls,
      sign: own.signer.sign,
      verify: (key, message, signature) =>
        this.#verdicts.of(nameOf("ed25519", key, message, signature), () =>
          nobleSignatures.ed25519(key, message, signature),
        ),
      compute: (job) => this.#compute(own.means, job) as never,
    });
  }

  #compute(means: KeyMeans, job: KeyJob): KeyWork[KeyJob["kind"]] {
    const make = () => runKeyJob(means, job);
    switch (job.kind) {
      case "judge": {
        const dealer = u64be(BigInt(job.dealer));
        return this.#jobs.of(nameOf("judge", job.config, dealer, job.dealing), make as () => boolean);
      }
      case "combine":
        return this.#jobs.of(nameOf("combine", job.config, ...job.dealings), make as () => Uint8Array | null);
      default:
        return make();
    }
  }
}

/** Once for any number of runs. */
export async function loadRealKeys(): Promise<KeySource> {
  const [bls, curve] = await Promise.all([createMclBls(), createMclCurve()]);
  return (seed, subnetId) => new RealKeys({ bls, curve }, seed, subnetId);
}
