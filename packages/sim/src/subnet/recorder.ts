/**
 * What happened in a simulated subnet, for a timeline: blocks with when they were made, notarized and final, states by node, and who was down, slow,
 * cut off or misbehaving, and when. Watches, and changes nothing.
 */
import { type Height, toHex } from "@orrery/base";
import { type Artifact, type MemberEffect, weightOf } from "@orrery/consensus/member";
import type { Misbehaviour } from "./faults.ts";
import type { Links } from "./links.ts";

export interface RecordedBlock {
  readonly height: Height;
  readonly rank: number;
  /** Node that made it. */
  readonly maker: number;
  readonly at: bigint;
  notarizedAt: bigint | null;
  finalizedAt: bigint | null;
}

export type SpanKind = "down" | "slow" | "cut" | "muted";

export interface RecordedSpan {
  readonly node: number;
  /** `muted`: others hear nothing of it, though it hears them. */
  readonly kind: SpanKind;
  readonly from: bigint;
  to: bigint | null;
}

interface Watched {
  readonly nodes: readonly { readonly index: number; readonly isUp: boolean }[];
  readonly links: Links;
  readonly twisted: ReadonlyMap<Misbehaviour, number>;
}

export class Recorder {
  readonly #blocks = new Map<string, RecordedBlock>();
  /** Makers by height and place in the subnet. */
  readonly #makers = new Map<string, number>();
  readonly #open = new Map<string, RecordedSpan>();
  readonly spans: RecordedSpan[] = [];
  readonly deliveries: { readonly node: number; readonly height: Height; readonly at: bigint }[] = [];
  /** Ways of misbehaving, as they were first seen. */
  readonly twists: { readonly kind: Misbehaviour; readonly at: bigint }[] = [];
  readonly #twisted = new Map<Misbehaviour, number>();
  /** Of the world. */
  startedAt: bigint | null = null;
  healedAt: bigint | null = null;
  endedAt = 0n;
  nodeCount = 0;
  /** What nodes sent each other; a signature counts as long as it is, ideal ones are shorter than real ones. */
  messages = 0;
  bytes = 0;

  get blocks(): readonly RecordedBlock[] {
    return [...this.#blocks.values()];
  }

  effects(now: bigint, node: number, effects: readonly MemberEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "deliver") this.deliveries.push({ node, height: effect.block.height, at: now });
      if (effect.kind !== "publish") continue;
      const { artifact } = effect;
      if (artifact.kind === "proposal") {
        const { height, rank } = artifact.block;
        const place = `${height}/${artifact.signer}`;
        const maker = this.#makers.get(place) ?? node;
        this.#makers.set(place, maker);
        const id = toHex(artifact.hash);
        if (!this.#blocks.has(id))
          this.#blocks.set(id, { height, rank, maker, at: now, notarizedAt: null, finalizedAt: null });
      } else if (artifact.kind === "notarization" || artifact.kind === "finalization") {
        const block = this.#blocks.get(toHex(artifact.hash));
        if (block === undefined) continue;
        if (artifact.kind === "notarization") block.notarizedAt ??= now;
        else block.finalizedAt ??= now;
      }
    }
  }

  sends(artifact: Artifact): void {
    this.messages++;
    this.bytes += weightOf(artifact);
  }

  /** After an event. */
  look(now: bigint, { nodes, links, twisted }: Watched): void {
    this.startedAt ??= now;
    this.endedAt = now;
    this.nodeCount = nodes.length;
    for (const { index, isUp } of nodes) {
      this.#span(now, { node: index, kind: "down" }, !isUp);
      this.#span(now, { node: index, kind: "slow" }, links.isSlow(index));
      const cut = links.cutOff(index);
      this.#span(now, { node: index, kind: "cut" }, cut === "both");
      this.#span(now, { node: index, kind: "muted" }, cut === "muted");
    }
    for (const [kind, times] of twisted) {
      const before = this.#twisted.get(kind);
      this.#twisted.set(kind, times);
      if (before === undefined) this.twists.push({ kind, at: now });
    }
    if (!links.isFaulty) this.healedAt ??= now;
  }

  #span(now: bigint, { node, kind }: Pick<RecordedSpan, "node" | "kind">, isOn: boolean): void {
    const key = `${node}/${kind}`;
    const open = this.#open.get(key);
    if (isOn === (open !== undefined)) return;
    if (open === undefined) {
      const span: RecordedSpan = { node, kind, from: now, to: null };
      this.#open.set(key, span);
      this.spans.push(span);
    } else {
      open.to = now;
      this.#open.delete(key);
    }
  }
}
