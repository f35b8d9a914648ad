/**
 * The view threads as main sees them (docs/ARCHITECTURE.md, "Threads of a node"). The prompt view answers everything that is short;
 * a query or inspection that outgrows its probe there is answered by the patient view, which starts when it is first needed, one
 * at a time and in turn between canisters. A view owns nothing: one that dies is replaced by a thread that begins with a snapshot of
 * the newest state, and what it was asked is asked again. Invariant: a view shows a height only after main published it.
 */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import {
  assert,
  compareBytes,
  type Height,
  OrreryError,
  principalKey,
  QUERY_STATS_PER_BLOCK_MAX,
  type QueryStats,
} from "@orrery/base";
import type { Delegation } from "@orrery/execution/delegation";
import type { Channel } from "@orrery/host";
import { Lane } from "./lane.ts";
import type { About, BySubnet, SubnetIndex, ViewCall, ViewIndex, ViewPost } from "./protocol.ts";

/** Instructions of a query or an inspection on the prompt view: ten milliseconds or so. */
const PROBE_INSTRUCTIONS = 20_000_000n;
/** What outgrew its probe goes to the patient view at once for so long. */
const HEAVY_MS = 10_000;
const HEAVY_MAX = 10_000;
/** A call that was under way on so many views that died is given up: it may be what they died of. */
const ATTEMPTS_MAX = 2;
/** Views that die in a row, this shortly one after another: then something is wrong with the state that they are given. */
const DEATHS_MAX = 5;
const DEATHS_WITHIN_MS = 60_000;

const PROMPT: ViewIndex = 0;
const PATIENT: ViewIndex = 1;

export interface StartedView {
  readonly channel: Channel<ViewPost, never, About<ViewCall>>;
  /** Resolves when the thread is gone, whatever it died of. */
  readonly ended: Promise<unknown>;
}

export interface ViewsOptions {
  readonly start: (view: ViewIndex) => StartedView;
  /** Has execution send the state of every subnet, and all that follows, to the port; answers with the heights. */
  readonly attach: (view: ViewIndex, port: MessagePort) => Promise<BySubnet<Height>>;
  readonly onDeath: (view: ViewIndex, error: unknown) => void;
  readonly onFailure: (error: unknown) => void;
  readonly nowMs: () => number;
}

/** `signature`: of the subnet, where it does not come with the state (`ViewPost`). */
interface Published {
  readonly height: Height;
  readonly signature: Uint8Array | null;
}

interface Asked {
  readonly call: About<ViewCall>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  attempts: number;
  /** The thread that it was last sent to. */
  sentTo: StartedView["channel"] | null;
}

/** One view and, after its death, the next one in its place. */
class ViewSlot {
  readonly #view: ViewIndex;
  readonly #options: ViewsOptions;
  readonly #published: Map<SubnetIndex, Published>;
  readonly #delegations: Map<SubnetIndex, Delegation>;
  readonly #asked = new Set<Asked>();
  #channel: StartedView["channel"] | null = null;
  /** Heights that the view began with; null until they are known. */
  #begun: BySubnet<Height> | null = null;
  #deaths: number[] = [];
  /** Started ahead of `open`. */
  #prepared: StartedView | null = null;

  constructor(
    view: ViewIndex,
    options: ViewsOptions,
    shown: {
      readonly published: Map<SubnetIndex, Published>;
      readonly delegations: Map<SubnetIndex, Delegation>;
    },
  ) {
    this.#view = view;
    this.#options = options;
    this.#published = shown.published;
    this.#delegations = shown.delegations;
  }

  get pending(): number {
    return this.#asked.size;
  }

  /** Starts the thread, which loads its code meanwhile. */
  prepare(): void {
    this.#prepared ??= this.#options.start(this.#view);
  }

  async open(): Promise<void> {
    const { channel, ended } = this.#prepared ?? this.#options.start(this.#view);
    this.#prepared = null;
    this.#channel = channel;
    void ended.then((error) => {
      if (this.#channel === channel) this.#died(error);
    });
    const { port1, port2 } = new MessageChannel();
    channel.post({ kind: "feed", port: port1 }, [port1]);
    const heights = await this.#options.attach(this.#view, port2);
    if (this.#channel !== channel) return;
    this.#begun = heights;
    for (const [subnet, delegation] of this.#delegations) this.delegate(subnet, delegation);
    for (const [subnet, first] of heights) {
      const newest = this.#published.get(subnet);
      if (newest === undefined) continue;
      const { height: upTo, signature } = newest;
      // A signature shows what is below as well.
      for (let height = signature === null ? first : Math.max(first, upTo); height <= upTo; height++)
        channel.post({ kind: "publish", subnet, height, signature });
    }
    this.#sendAll();
  }

  publish(subnet: SubnetIndex, { height, signature }: Published): void {
    const first = this.#begun?.get(subnet);
    if (first === undefined || height < first) return;
    this.#channel?.post({ kind: "publish", subnet, height, signature });
    if (height === first || signature !== null) this.#sendAll();
  }

  delegate(subnet: SubnetIndex, delegation: Delegation): void {
    if (this.#begun !== null) this.#channel?.post({ kind: "delegate", subnet, delegation });
  }

  call<T>(call: About<ViewCall>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const asked: Asked = {
        call,
        resolve: resolve as (value: unknown) => void,
        reject,
        attempts: 0,
        sentTo: null,
      };
      this.#asked.add(asked);
      this.#send(asked);
    });
  }

  #sendAll(): void {
    for (const asked of this.#asked) this.#send(asked);
  }

  /** Unless its thread has it, or shows nothing of the subnet yet: what a view begins with may be newer than what is published. */
  #send(asked: Asked): void {
    const channel = this.#channel;
    const { subnet } = asked.call;
    const first = this.#begun?.get(subnet);
    if (channel === null || first === undefined || asked.sentTo === channel) return;
    if ((this.#published.get(subnet)?.height ?? -1) < first) return;
    asked.sentTo = channel;
    asked.attempts++;
    channel.call(asked.call).then(
      (value) => {
        if (this.#asked.delete(asked)) asked.resolve(value);
      },
      (error: unknown) => {
        if (this.#asked.delete(asked)) asked.reject(error);
      },
    );
  }

  #died(error: unknown): void {
    this.#channel = null;
    this.#begun = null;
    const now = this.#options.nowMs();
    this.#deaths = [...this.#deaths.filter((at) => at > now - DEATHS_WITHIN_MS), now];
    this.#options.onDeath(this.#view, error);
    for (const asked of this.#asked) {
      if (asked.attempts < ATTEMPTS_MAX) continue;
      this.#asked.delete(asked);
      asked.reject(new OrreryError("view_ended", "the thread that answers ended twice over this request"));
    }
    if (this.#deaths.length > DEATHS_MAX) {
      this.#options.onFailure(error);
      return;
    }
    this.open().catch(this.#options.onFailure);
  }
}

export class Views {
  readonly #options: ViewsOptions;
  readonly #published = new Map<SubnetIndex, Published>();
  readonly #delegations = new Map<SubnetIndex, Delegation>();
  readonly #prompt: ViewSlot;
  #patient: ViewSlot | null = null;
  readonly #lane = new Lane();
  /** What outgrew its probe, and until when it is remembered; oldest first. */
  readonly #heavy = new Map<string, number>();
  /** Statistics that did not fit a block. */
  #stats: readonly QueryStats[] = [];

  constructor(options: ViewsOptions) {
    this.#options = options;
    this.#prompt = this.#slot(PROMPT);
  }

  #slot(view: ViewIndex): ViewSlot {
    return new ViewSlot(view, this.#options, { published: this.#published, delegations: this.#delegations });
  }

  /** Calls to the prompt view that are not answered. */
  get pending(): number {
    return this.#prompt.pending;
  }

  /** Starts the thread of the prompt view ahead of `open`. */
  prepare(): void {
    this.#prompt.prepare();
  }

  /** Resolves when the prompt view follows the state. */
  open(): Promise<void> {
    return this.#prompt.open();
  }

  /** `signature`: of the subnet on the state, where it does not come with it. */
  publish(subnet: SubnetIndex, height: Height, signature: Uint8Array | null = null): void {
    const published = { height, signature };
    this.#published.set(subnet, published);
    this.#prompt.publish(subnet, published);
    this.#patient?.publish(subnet, published);
  }

  delegate(subnet: SubnetIndex, delegation: Delegation): void {
    this.#delegations.set(subnet, delegation);
    this.#prompt.delegate(subnet, delegation);
    this.#patient?.delegate(subnet, delegation);
  }

  call<T>(call: About<ViewCall>): Promise<T> {
    switch (call.kind) {
      case "query":
        return this.#probed(call, {
          canister: principalKey(call.query.canisterId),
          what: call.query.methodName,
        });
      case "inspect":
        return this.#probed(call, { canister: call.canister, what: " inspect" });
      case "answer_outcall":
        // Code of a canister may run in it.
        if (call.outcall.transform === null) return this.#prompt.call(call);
        return this.#patiently(principalKey(call.outcall.from), call);
      case "take_query_stats":
        return this.#takeStats(call) as Promise<T>;
      default:
        return this.#prompt.call(call);
    }
  }

  async #probed<T>(
    call: About<Extract<ViewCall, { kind: "query" | "inspect" }>>,
    { canister, what }: { readonly canister: string; readonly what: string },
  ): Promise<T> {
    const key = `${canister}/${what}`;
    if (!this.#isHeavy(key)) {
      const answer = await this.#prompt.call<T | "outgrown">({ ...call, probe: PROBE_INSTRUCTIONS });
      if (answer !== "outgrown") return answer;
      this.#noteHeavy(key);
    }
    return await this.#patiently(canister, call);
  }

  #patiently<T>(canister: string, call: About<ViewCall>): Promise<T> {
    if (this.#patient === null) {
      this.#patient = this.#slot(PATIENT);
      this.#patient.open().catch(this.#options.onFailure);
    }
    const patient = this.#patient;
    return this.#lane.run(canister, () => patient.call<T>(call));
  }

  #isHeavy(key: string): boolean {
    const until = this.#heavy.get(key);
    if (until === undefined) return false;
    if (until > this.#options.nowMs()) return true;
    this.#heavy.delete(key);
    return false;
  }

  #noteHeavy(key: string): void {
    this.#heavy.delete(key);
    this.#heavy.set(key, this.#options.nowMs() + HEAVY_MS);
    for (const oldest of this.#heavy.keys()) {
      if (this.#heavy.size <= HEAVY_MAX) return;
      this.#heavy.delete(oldest);
    }
  }

  /** For one block: the sums of both views and of what was left over, by ascending id. */
  async #takeStats(call: About<ViewCall>): Promise<readonly QueryStats[]> {
    const slots = this.#patient === null ? [this.#prompt] : [this.#prompt, this.#patient];
    const lists = await Promise.all(slots.map((slot) => slot.call<readonly QueryStats[] | null>(call)));
    const all = addStats([this.#stats, ...lists.map((list) => list ?? [])]);
    this.#stats = all.slice(QUERY_STATS_PER_BLOCK_MAX);
    return all.slice(0, QUERY_STATS_PER_BLOCK_MAX);
  }
}

/** Sums by canister, by ascending id. */
export function addStats(lists: readonly (readonly QueryStats[])[]): QueryStats[] {
  const sums = new Map<string, QueryStats>();
  for (const one of lists.flat()) {
    const key = principalKey(one.canisterId);
    const sum = sums.get(key);
    sums.set(key, sum === undefined ? one : added(sum, one));
  }
  const all = [...sums.values()].sort((a, b) => compareBytes(a.canisterId, b.canisterId));
  assert(all.length === sums.size, "one sum for each canister");
  return all;
}

function added(a: QueryStats, b: QueryStats): QueryStats {
  return {
    canisterId: a.canisterId,
    calls: a.calls + b.calls,
    instructions: a.instructions + b.instructions,
    requestBytes: a.requestBytes + b.requestBytes,
    responseBytes: a.responseBytes + b.responseBytes,
  };
}
