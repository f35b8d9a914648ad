/** What the main thread and the threads of instances say to each other. Instances keep their ids of the server. */
import type { SubnetKind } from "@orrery/sim/instance";

/** A request to a thread; each is answered by what its field in `Answers` says. */
export type ThreadCall =
  | { readonly kind: "create"; readonly instance: number; readonly config: InstanceConfig }
  | {
      readonly kind: "operate";
      readonly instance: number;
      /** Path below the instance: "read/get_time". */
      readonly name: string;
      readonly body: Uint8Array;
      /** Of the blob that the body names. */
      readonly blob: Uint8Array | null;
    }
  | {
      readonly kind: "http";
      readonly instance: number;
      readonly request: ThreadRequest;
      /** Of the gateway that was asked; null is the instance itself. */
      readonly gateway: GatewayRules | null;
    }
  /** The next piece of a body that comes in pieces: bytes, or null at its end. */
  | { readonly kind: "pull"; readonly stream: number }
  /** Nobody wants the rest. */
  | { readonly kind: "drop"; readonly stream: number }
  | { readonly kind: "verify_signature"; readonly body: Uint8Array }
  | { readonly kind: "delete"; readonly instance: number };

export interface GatewayRules {
  /** Of this server: by it the thread tells gateways apart. */
  readonly id: number;
  /** Names that canisters are found below, beside localhost; null is none. */
  readonly domains: readonly string[] | null;
  /** Of custom domains. */
  readonly domainsFile: string | null;
  /** Names that requests may be addressed to, beside localhost and addresses. */
  readonly hosts: readonly string[];
}

export interface ThreadRequest {
  readonly method: string;
  /** Path and query below the instance. */
  readonly url: string;
  /** In the order received, names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

export interface ThreadAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Uint8Array | string;
  /** Number of the stream that the body comes in; `body` is empty then. */
  readonly stream?: number;
}

/** What became of a creation: the topology as JSON, or why there is no instance. */
export type Creation = { readonly topology: string } | { readonly error: string };

export interface SubnetConfig {
  readonly kind: SubnetKind;
  readonly instructions: "production" | "benchmarking";
  readonly costSchedule: "normal" | "free";
  readonly admins: readonly Uint8Array[] | null;
}

/** What an instance can come with, by PocketIC's names. */
export type Feature = "icp_token" | "cycles_token" | "cycles_minting";

/** An instance as asked for, checked in shape. */
export interface InstanceConfig {
  readonly subnets: readonly SubnetConfig[];
  readonly stateDir: string | null;
  /** Ns since 1970. */
  readonly initialTime: bigint;
  /** Least time between rounds; null runs rounds only when asked to. */
  readonly autoProgressMs: number | null;
  readonly mainnetNnsId: boolean;
  /** Whether requests of the HTTPS interface need no valid signature. */
  readonly trustsIngress: boolean;
  readonly features: readonly Feature[];
}

/** Frames on the port. */
export type ToThread = { readonly id: number; readonly call: ThreadCall };
export type FromThread =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }
  /** Its modules are loaded. */
  | { readonly ready: true };
