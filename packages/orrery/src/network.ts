/**
 * A network inside one process, for tests and tools: the same execution, certification and HTTPS interface as a node's, without files
 * or sockets. Calls are synchronous for whoever makes them, although canisters run on a thread of their own with the stack they
 * may use. Everything follows from seed, time and calls; with a virtual clock a run repeats exactly.
 * `fetch` serves unmodified agents: `HttpAgent.create({ host: network.url, fetch: network.fetch, rootKey: network.rootKey })`.
 */
import { OrreryError } from "@orrery/base";
import { loadFolder } from "./canister-folder.ts";
import { networkOf, startOf } from "./facade.ts";
import { openNetwork, type RemoteNetwork } from "./thread.ts";
import type { Network, NetworkOptions, OutcallHandler, RealOutcalls } from "./types.ts";

function outcallsOf({ outcalls }: NetworkOptions): {
  readonly handler: OutcallHandler | null;
  readonly real: RealOutcalls | null;
} {
  if (outcalls === undefined) return { handler: null, real: null };
  return typeof outcalls === "function"
    ? { handler: outcalls, real: null }
    : { handler: null, real: outcalls };
}

/** What a copy has of the network that it is a copy of. */
const COPIED = ["state", "seed", "subnets"] as const;

function checkCopy(options: NetworkOptions): void {
  const said = options.from === undefined ? undefined : COPIED.find((name) => options[name] !== undefined);
  if (said === undefined) return;
  throw new OrreryError(
    "options_conflict",
    `a copy of the network in ${options.from} has that one's ${said}: leave "${said}" out, or leave "from" out`,
    { data: { option: said } },
  );
}

/** A copy does not begin before what it is a copy of. */
async function checkTime({ from, time, clock }: NetworkOptions, remote: RemoteNetwork): Promise<void> {
  const { time: now } = remote.opened;
  if (from === undefined || time === undefined || clock === "wall" || time >= now) return;
  await remote.close();
  throw new OrreryError(
    "time_backwards",
    `time does not run backwards: in the network of ${from} it is ${now} ns, begin at that or later, not at ${time}`,
    { data: { now, asked: time } },
  );
}

/** Makes a network; ready when the promise resolves. */
export async function createNetwork(options: NetworkOptions = {}): Promise<Network> {
  checkCopy(options);
  const { handler, real } = outcallsOf(options);
  const remote = await openNetwork({ ...startOf(options), outcalls: real });
  await checkTime(options, remote);
  return networkOf(remote, handler, loadFolder);
}
