/** Runs cases side by side against one network and tells each one's outcome. */

import { Principal } from "@icp-sdk/core/principal";
import { probeCapabilities } from "./capabilities.ts";
import { CAPABILITIES, type Capability, type Case, declaredCases, SECTIONS } from "./case.ts";
import { clockOfServer, type OpenClocked } from "./clock.ts";
import type { Identity } from "./identity.ts";
import type { Outside } from "./outside.ts";
import { discover, type Target } from "./target.ts";
import { Wire } from "./wire.ts";
import { newPool, World } from "./world.ts";
import "./cases/all.ts";

/** Cases under way at once: enough that the network's rounds are full, few enough that none waits long. */
const PARALLEL = 16;
/** A case that takes longer hangs: with the network of its own that it has, if it has one. */
const CASE_MS_MAX = 180_000;

export interface CaseResult {
  readonly section: string;
  readonly title: string;
  readonly status: "passed" | "failed" | "not run";
  /** Of the failure, or why the case was not run. */
  readonly reason: string | null;
  readonly milliseconds: number;
}

export interface RunOptions {
  readonly url: string;
  /** Of other nodes of the network: each case stays with one, and cases that are about several have them all. */
  readonly others?: readonly string[];
  /** `url` is the port in front of the others, which knows the way to all subnets: no case stays there. */
  readonly isFront?: boolean;
  /** Only cases whose section or title contains it. */
  readonly filter?: string;
  /** Only cases that need it. */
  readonly needing?: Capability;
  /** Every case whose place is a multiple of it, from `offset` on. */
  readonly sample?: { readonly every: number; readonly offset: number };
  /** Answers outcalls; without it none are asked for. */
  readonly outside?: Outside;
  /** Who administers the network's subnets of the kind that has administrators. */
  readonly administrator?: Identity;
  /**
   * Kind of the subnet where cases make their canisters, as its administrator where it has one; an application subnet by default.
   * Cases that need more than this subnet are left out then.
   */
  readonly home?: string;
  /** Makes networks whose clock cases move; by default the network is asked whether it can. */
  readonly clock?: OpenClocked;
  /** How long a case may take, 180,000 by default. */
  readonly caseMsMax?: number;
  readonly report?: (result: CaseResult) => void;
}

export interface RunResult {
  readonly results: readonly CaseResult[];
  readonly capabilities: readonly Capability[];
}

export function selectCases({
  filter,
  needing,
  sample,
}: Pick<RunOptions, "filter" | "needing" | "sample">): readonly Case[] {
  const wanted = filter?.toLowerCase() ?? "";
  return declaredCases()
    .filter(({ section, title }) => `${section}: ${title}`.toLowerCase().includes(wanted))
    .filter(({ needs }) => needing === undefined || needs.includes(needing))
    .filter((_, index) => sample === undefined || index % sample.every === sample.offset % sample.every);
}

/** Cases that make their canisters on a subnet of that kind. */
function atHome(target: Target, kind: string | undefined): Target {
  if (kind === undefined) return target;
  const home = target.subnets.find(({ type, ranges }) => type === kind && ranges.length > 0);
  const range = home?.ranges.at(-1);
  if (home === undefined || range === undefined)
    throw new Error(`the network has no subnet of the kind ${kind}`);
  return { ...target, home, near: Principal.fromUint8Array(range.start) };
}

function isAdministered({ home, administered }: Target): boolean {
  return administered !== null && administered.id.toText() === home.id.toText();
}

function operatedBy(administrator: Identity | undefined): { readonly operator: Identity } {
  if (administrator === undefined) throw new Error("nobody is known who may make canisters on that subnet");
  return { operator: administrator };
}

/** Runs the chosen cases; never throws because of one of them. */
export async function runSuite(options: RunOptions): Promise<RunResult> {
  const wire = await Wire.connect(options.url);
  const target = atHome(await discover(wire), options.home);
  const pool = { ...newPool(options), ...(isAdministered(target) ? operatedBy(options.administrator) : {}) };
  const clock = options.clock ?? (await clockOfServer(options.url));
  const others = (options.others ?? []).map((url) => wire.at(url));
  const wires = options.isFront === true && others.length > 0 ? others : [wire, ...others];
  let turn = 0;
  /** A case's own node first; the nodes take turns. */
  const world = (): World => {
    const place = turn++ % wires.length;
    return new World([...wires.slice(place), ...wires.slice(0, place)] as [Wire, ...Wire[]], target, pool);
  };
  const has = await probeCapabilities(world());
  const capabilities = new Set<Capability>([...has, ...(clock === null ? [] : ["time control" as const])]);
  const queue = selectCases(options).filter(({ needs }) => options.home === undefined || needs.length === 0);
  const results: CaseResult[] = [];
  const placeOf = ({ needs }: Case): Place =>
    needs.includes("time control") && clock !== null ? ownNetwork(clock) : sharedNetwork(world());
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const missing = next.needs.find((need) => !capabilities.has(need));
      const result =
        missing === undefined
          ? await runCase(next, placeOf(next), options.caseMsMax)
          : outcome(next, "not run", CAPABILITIES[missing], 0);
      results.push(result);
      options.report?.(result);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  const order = (result: CaseResult): number => SECTIONS.indexOf(result.section as (typeof SECTIONS)[number]);
  results.sort((a, b) => order(a) - order(b));
  return { results, capabilities: [...capabilities] };
}

/** Where a case runs. Whatever goes wrong with it is the case's failure. */
interface Place {
  enter(): Promise<World>;
  leave(hasPassed: boolean): Promise<void>;
}

function sharedNetwork(world: World): Place {
  return {
    async enter() {
      await world.caughtUp();
      return world;
    },
    async leave(hasPassed) {
      // The canisters of a failed case are left as they are: somebody will look at them.
      if (hasPassed) world.release();
    },
  };
}

/** A network for one case. It is closed in any case, one that opens too late as soon as it is there. */
function ownNetwork(open: OpenClocked): Place {
  let opening: ReturnType<OpenClocked> | undefined;
  return {
    async enter() {
      opening = open();
      const network = await opening;
      const wire = await Wire.connect(network.url, network);
      return new World([wire], await discover(wire), newPool(), network);
    },
    leave: async () => await (await opening)?.close(),
  };
}

/** Enters, runs and leaves within the time that a case has; what fails first is the reason. */
async function runCase(one: Case, place: Place, msMax = CASE_MS_MAX): Promise<CaseResult> {
  const startedMs = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${msMax} ms`)), msMax);
  });
  const failures: unknown[] = [];
  const within = (work: Promise<void>): Promise<void> =>
    Promise.race([work, late]).catch((error: unknown) => void failures.push(error));
  await within(place.enter().then((world) => one.run(world)));
  await within(place.leave(failures.length === 0));
  clearTimeout(timer);
  const ms = performance.now() - startedMs;
  if (failures.length === 0) return outcome(one, "passed", null, ms);
  const [error] = failures;
  return outcome(one, "failed", (error as Error).stack ?? String(error), ms);
}

function outcome(one: Case, status: CaseResult["status"], reason: string | null, ms: number): CaseResult {
  return { section: one.section, title: one.title, status, reason, milliseconds: Math.round(ms) };
}
