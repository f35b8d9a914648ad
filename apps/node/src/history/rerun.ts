/**
 * Messages of the past, run again exactly: every subnet that takes part goes on from a checkpoint of its own through its blocks, in the
 * order of their times, until all that the messages led to is over. What subnets told one another is in their blocks.
 */
import { equalBytes, type Height, MANAGEMENT_CANISTER, principalToText, type TimeNs } from "@orrery/base";
import { decodeFinalizedBlock } from "@orrery/consensus";
import { rangesContain } from "@orrery/crypto";
import { type ChainKeys, createChainKeys } from "@orrery/crypto/chain-keys";
import type { TraceEvent } from "@orrery/sim/instance";
import { type Trace, traceTrees } from "@orrery/sim/trace";
import type { History, IngressStatus } from "@orrery/state";
import { creationSubnetIds } from "../genesis.ts";
import type { SubnetIndex } from "../protocol.ts";
import { Growth, isMessage } from "./growth.ts";
import { type Found, firstRound, type NetworkPast, type PastSubnet } from "./network.ts";
import { SubnetReplay } from "./replay.ts";
import type { Checked, HistoryProgress, PastOutcome } from "./types.ts";

/** Clocks may have been set back by so much between a call and its delivery elsewhere. */
const CLOCK_SLACK_NS = 60_000_000_000n;
/** Management calls that are executions, on whatever subnet their argument names. */
const INSTALLING: ReadonlySet<string> = new Set(["install_code", "install_chunked_code"]);

export interface RerunOptions {
  readonly past: NetworkPast;
  /** Whether what is looked for is profiled by function. */
  readonly profile: boolean;
  readonly onProgress: (progress: HistoryProgress) => void;
}

export interface Reran {
  readonly outcomes: ReadonlyMap<string, PastOutcome>;
  /** Of everything else that was looked for. */
  readonly others: readonly Trace[];
  readonly checked: Checked;
}

/** Where to begin: a round of a subnet, and its time. */
export interface Start {
  readonly subnet: SubnetIndex;
  readonly height: Height;
}

export class Rerun {
  readonly #options: RerunOptions;
  readonly #chainKeys: ChainKeys;
  readonly #creationSubnets: readonly string[];
  readonly #replays = new Map<SubnetIndex, SubnetReplay>();
  #checked: Checked = { rounds: 0, same: 0, differs: null };

  constructor(options: RerunOptions) {
    const { genesis, locals } = options.past;
    this.#options = options;
    this.#chainKeys = createChainKeys(genesis.seed);
    this.#creationSubnets = creationSubnetIds(genesis, locals);
  }

  /** Runs these messages again, all of which can be. */
  messages(found: readonly Found[]): Reran {
    const waiting = new Map(found.map((one) => [one.message.requestId, one]));
    const ids = new Set(waiting.keys());
    const statuses = new Map<string, IngressStatus>();
    const growth = new Growth((event) => isMessage(event, ids));
    for (const { subnet, message } of found) this.#begin({ subnet, height: message.height });
    this.#run(growth, () => {
      for (const [id, { subnet, message }] of waiting) {
        const replay = this.#replays.get(subnet);
        if (replay === undefined || replay.state.height < message.height) continue;
        const status = replay.statusOf(id);
        if (status !== null) statuses.set(id, status);
        if (status?.kind !== "received" && status?.kind !== "processing") waiting.delete(id);
      }
      return waiting.size === 0;
    });
    const traces = new Map<string, Trace>();
    for (const trace of traceTrees(growth.events)) {
      if (trace.cause.kind === "ingress") traces.set(trace.cause.requestId, trace);
    }
    const isWhole = growth.isOver(this.#states());
    const outcomes = found.map(({ message: { requestId } }): [string, PastOutcome] => {
      const trace = traces.get(requestId) ?? null;
      return [requestId, outcomeOf(statuses.get(requestId), trace, isWhole)];
    });
    return { outcomes: new Map(outcomes), others: [], checked: this.#checked };
  }

  /** Runs everything from these rounds on; the newest tree with an event that is wanted is among the others. What else is over is forgotten. */
  tasks(starts: readonly Start[], isWanted: (event: TraceEvent) => boolean): Reran {
    const growth = new Growth(() => true);
    for (const start of starts) this.#begin(start);
    const forget = (): boolean => {
      growth.keepNewest(this.#states());
      return false;
    };
    this.#run(growth, forget, isWanted);
    return { outcomes: new Map(), others: traceTrees(growth.events), checked: this.#checked };
  }

  #states(): readonly SubnetReplay["state"][] {
    return [...this.#replays.values()].map(({ state }) => state);
  }

  /** Brings a subnet to the round before `height`, or before the first one at `time`. */
  #begin({ subnet, height }: Start): void {
    if (this.#replays.has(subnet)) return;
    const one = this.#options.past.subnets.get(subnet) as PastSubnet;
    const replay = new SubnetReplay({
      subnet: one,
      creationSubnets: this.#creationSubnets,
      genesisTime: this.#options.past.genesis.time,
      chainKeys: this.#chainKeys,
      from: height,
    });
    this.#replays.set(subnet, replay);
    while (replay.state.height < height - 1) this.#round(replay, subnet);
    replay.profiles = this.#options.profile;
  }

  /** All begun subnets, the one whose block is older first, until it is over or there are no more blocks. */
  #run(
    growth: Growth,
    isAnswered: () => boolean,
    isWanted: (event: TraceEvent) => boolean = () => false,
  ): void {
    for (;;) {
      if (isAnswered() && growth.isOver(this.#states())) return;
      const next = this.#next();
      if (next === null) return;
      for (const event of this.#round(next.replay, next.subnet)) {
        if (growth.add(event, isWanted(event))) this.#beginCallees(event);
      }
    }
  }

  #next(): { readonly subnet: SubnetIndex; readonly replay: SubnetReplay } | null {
    let first: { readonly subnet: SubnetIndex; readonly replay: SubnetReplay; readonly time: TimeNs } | null =
      null;
    for (const [subnet, replay] of this.#replays) {
      const time = replay.nextTime;
      if (time !== null && (first === null || time < first.time)) first = { subnet, replay, time };
    }
    return first;
  }

  #round(replay: SubnetReplay, subnet: SubnetIndex): readonly TraceEvent[] {
    const { height, events, same } = replay.round();
    const { local, history } = this.#options.past.subnets.get(subnet) as PastSubnet;
    const subnetId = principalToText(local.info.subnetId);
    const { rounds, same: before, differs } = this.#checked;
    this.#checked = {
      rounds: rounds + 1,
      same: before + (same === true ? 1 : 0),
      differs: differs ?? (same === false ? { subnetId, height } : null),
    };
    this.#options.onProgress({ subnetId, height, last: history.last ?? height });
    return events;
  }

  /** Subnets that are called take part from then on. */
  #beginCallees({ time, calls }: TraceEvent): void {
    for (const { callee, method } of calls) {
      const isInstalling = equalBytes(callee, MANAGEMENT_CANISTER) && INSTALLING.has(method);
      for (const [subnet, { local, history }] of this.#options.past.subnets) {
        if (this.#replays.has(subnet)) continue;
        const { routing, subnetId } = local.info;
        const own = routing.find((entry) => equalBytes(entry.subnetId, subnetId))?.ranges ?? [];
        if (!isInstalling && !rangesContain(own, callee)) continue;
        const height = firstAt(history, time - CLOCK_SLACK_NS);
        if (height !== null) this.#begin({ subnet, height });
      }
    }
  }
}

/** The first round at or after a time that can run again; null when there is none. */
function firstAt(history: History, time: TimeNs): Height | null {
  let low = firstRound(history);
  if (low === null || history.last === null) return null;
  let high = history.last + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const bytes = history.block(middle) as Uint8Array;
    if (decodeFinalizedBlock(bytes).proposal.block.context.time < time) low = middle + 1;
    else high = middle;
  }
  return low > history.last ? null : low;
}

function outcomeOf(status: IngressStatus | undefined, trace: Trace | null, isWhole: boolean): PastOutcome {
  if (status === undefined) return { status: "dropped", reject: null, trace, isWhole };
  const reject = status.kind === "rejected" ? { errorCode: status.errorCode, message: status.message } : null;
  return { status: status.kind, reject, trace, isWhole };
}
