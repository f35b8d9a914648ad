/**
 * What the replicas of a process say to their peers: artifacts that their members publish, told to everybody until they are retracted and
 * to whoever comes back, and ingress messages, told once. A frame is a subnet's place, a kind, and the content.
 */
import { concatBytes } from "@orrery/base";
import { type Artifact, artifactId } from "@orrery/consensus/member";
import type { SubnetIndex } from "../protocol.ts";
import { encodeArtifact } from "./artifact-codec.ts";
import type { Connections } from "./connections.ts";

const ARTIFACT = 1;
const INGRESS = 2;
const AGAIN = 3;
const HEAD_BYTES = 2;

export type Heard =
  | { readonly kind: "artifact"; readonly subnet: SubnetIndex; readonly bytes: Uint8Array }
  | { readonly kind: "ingress"; readonly subnet: SubnetIndex; readonly bytes: Uint8Array }
  /** The peer wants to be told again what is published. */
  | { readonly kind: "again"; readonly subnet: SubnetIndex };

/** Null for what no peer of this version says. */
export function readFrame(frame: Uint8Array): Heard | null {
  const [subnet, kind] = frame;
  if (subnet === undefined || kind === undefined) return null;
  const bytes = frame.subarray(HEAD_BYTES);
  if (kind === ARTIFACT) return { kind: "artifact", subnet, bytes };
  if (kind === AGAIN) return { kind: "again", subnet };
  return kind === INGRESS ? { kind: "ingress", subnet, bytes } : null;
}

/** The voice of one subnet's replica. */
export class Gossip {
  readonly #subnet: SubnetIndex;
  readonly #connections: Pick<Connections, "send" | "connected">;
  /** Frames of what is published, by artifact, in the order of publication: what stands on others comes after them. */
  readonly #published = new Map<string, Uint8Array>();

  constructor(subnet: SubnetIndex, connections: Pick<Connections, "send" | "connected">) {
    this.#subnet = subnet;
    this.#connections = connections;
  }

  /** Artifacts that are told to whoever comes. */
  get size(): number {
    return this.#published.size;
  }

  publish(artifact: Artifact): void {
    const frame = this.#frame(ARTIFACT, encodeArtifact(artifact));
    this.#published.set(artifactId(artifact), frame);
    this.#tellAll(frame);
  }

  retract(id: string): void {
    this.#published.delete(id);
  }

  /** A peer is back, or is there for the first time. */
  welcome(peer: number): void {
    for (const frame of this.#published.values()) this.#connections.send(peer, frame);
  }

  /** Has a peer tell again what it publishes. */
  askAgain(peer: number): void {
    this.#connections.send(peer, this.#frame(AGAIN, new Uint8Array(0)));
  }

  ingress(envelope: Uint8Array): void {
    this.#tellAll(this.#frame(INGRESS, envelope));
  }

  #frame(kind: number, content: Uint8Array): Uint8Array {
    return concatBytes(Uint8Array.of(this.#subnet, kind), content);
  }

  #tellAll(frame: Uint8Array): void {
    for (const peer of this.#connections.connected()) this.#connections.send(peer, frame);
  }
}
