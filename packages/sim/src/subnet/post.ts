/** What nodes of a simulated subnet send each other: as each of them says it, honest or not, over links that lose, delay and double. */
import type { Artifact } from "@orrery/consensus/member";
import type { EventQueue } from "./event-queue.ts";
import type { EventTrace } from "./event-trace.ts";
import { type Links, RESEND_NS } from "./links.ts";
import type { Actor } from "./misbehaving.ts";
import type { Recorder } from "./recorder.ts";
import type { SimNode } from "./sim-node.ts";
import type { Twins } from "./twins.ts";
import type { WorldEvent } from "./world-nodes.ts";

type Received = Extract<WorldEvent, { readonly kind: "receive" }>;

export interface PostMeans {
  readonly nodes: readonly SimNode[];
  readonly actors: readonly Actor[];
  readonly twins: Twins;
  readonly links: Links;
  readonly queue: EventQueue<WorldEvent>;
  readonly trace: EventTrace;
  readonly recorder?: Recorder | undefined;
}

export class Post {
  readonly #means: PostMeans;

  constructor(means: PostMeans) {
    this.#means = means;
  }

  /** What a node has published, as it tells it. */
  tellAll(node: SimNode, now: bigint, to: number): void {
    const actor = this.#means.actors[node.index] as Actor;
    for (const artifact of node.published.values())
      for (const each of actor.say(artifact)(to)) this.#send(now, [node.index, to], each);
  }

  /** As a node asks that turned something away. */
  tellAgain(from: number, now: bigint, to: number): void {
    const { nodes, twins } = this.#means;
    for (const copy of twins.copiesOf(from))
      if (copy !== to && nodes[copy]?.isUp === true) this.tellAll(nodes[copy], now, to);
  }

  /** To all others. */
  publish(from: number, now: bigint, artifact: Artifact): void {
    const { nodes, actors } = this.#means;
    const said = (actors[from] as Actor).say(artifact);
    for (const { index: to } of nodes)
      if (to !== from) for (const each of said(to)) this.#send(now, [from, to], each);
  }

  #send(now: bigint, [from, to]: readonly [from: number, to: number], artifact: Artifact): void {
    const { links, queue, trace, recorder } = this.#means;
    const { delayNs, number } = links.send(from, to);
    recorder?.sends(artifact);
    const name = trace.nameOf(artifact);
    const event: WorldEvent = { kind: "receive", from, to, artifact, name, number };
    queue.plan(now + delayNs, event);
    const again = links.again();
    if (again !== null) queue.plan(now + again, event);
  }

  /** Whether it comes now: what is held up or lost is sent again a while later. */
  arrives(event: Received, now: bigint): boolean {
    const { links, queue } = this.#means;
    const { from, to, artifact, number } = event;
    if (links.holds(from, to, { artifact, now }) || links.loses()) {
      queue.plan(now + RESEND_NS, event);
      return false;
    }
    links.arrived(from, to, number);
    return true;
  }
}
