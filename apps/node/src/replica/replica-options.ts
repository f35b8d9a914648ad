/** What the rounds of a subnet of several nodes are given at one of them, and what they are to the rest of the node. */
import type { Clock, Height, Logger, PrincipalKey, TimeNs } from "@orrery/base";
import type { CatchUpPackage } from "@orrery/consensus/member";
import type { SignatureVerifier } from "@orrery/crypto";
import type { LocalSubnet } from "@orrery/execution/local-network";
import type { OutcallAdapter } from "@orrery/host/outcalls";
import type { Genesis } from "../genesis.ts";
import type { ExecutionStarted } from "../protocol.ts";
import type { Creations } from "../registry/creations.ts";
import type { SubnetRegistry } from "../registry/registry.ts";
import type { Rounds, SubnetThreads } from "../rounds.ts";
import type { Healings } from "./healings.ts";
import type { Membership } from "./membership.ts";
import type { Runs } from "./own-version.ts";
import type { ReplicaSlices } from "./slice-reader.ts";
import type { SubnetKeys } from "./subnet-keys.ts";
import type { Listener, Voice } from "./voice.ts";

export interface ReplicaRoundsOptions {
  readonly local: LocalSubnet;
  /** Place of this node in the subnet. */
  readonly self: number;
  /** When it turned out that what it had signed is lost; null: it is not. */
  readonly lostAt: TimeNs | null;
  readonly healings: Healings;
  readonly keys: SubnetKeys;
  readonly registry: SubnetRegistry;
  /** Which of its blocks are for this program. */
  readonly runs: Runs;
  /** Its newest package is for another one; null: there is none yet, and what follows the genesis is. */
  readonly onSuperseded: (catchUp: CatchUpPackage | null) => void;
  /** Its members need no nodes of versions before any more. */
  readonly onInterval: (oldestVersion: number) => void;
  /** This node takes part in the subnet no more. */
  readonly onLeft: () => void;
  /** Subnets that came to the network. */
  readonly creations: Pick<Creations, "all" | "at" | "infoOf">;
  /** A catch-up package is here, and kept; at a start the newest is told once more. */
  readonly onPackage: (catchUp: CatchUpPackage) => void;
  readonly genesis: Pick<Genesis, "time" | "catchUpInterval">;
  readonly started: ExecutionStarted;
  readonly voice: Voice;
  readonly verifier: SignatureVerifier;
  readonly verifyBls: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
  /** Longest ingress message that the subnet takes. */
  readonly ingressBytesMax: number;
  readonly threads: SubnetThreads;
  readonly outcalls: OutcallAdapter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly slices: ReplicaSlices;
  readonly onFailure: (thread: string, error: unknown) => void;
  readonly onPublished: (height: Height, streams: readonly PrincipalKey[]) => void;
}

/** `Rounds` that peers speak to. */
export interface ReplicaRounds extends Rounds, Listener {
  /** Consensus begins; nothing is done before. */
  begin(): void;
  readonly membership: Pick<Membership, "joined">;
  /** There are newer versions of the registry. */
  registryGrew(): void;
}
