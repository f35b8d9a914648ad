/**
 * Networks whose clock a case moves: one for each case that needs "time control", so that nobody else's time passes. Two kinds of
 * network offer such clocks: instances of a PocketIC server, by its own endpoints for time, and networks of this repository in
 * the suite's own process. Between two moves time stands still but for a nanosecond a round.
 */
import { createNetwork } from "ic-orrery";

const NS_PER_MS = 1_000_000n;
/** 2100-01-01: a clock ahead of the machine's follows nobody's. */
const BEGINNING_NS: bigint = 4_102_444_800_000n * NS_PER_MS;
/** Rounds after a move, so that what became due in its round has been executed. */
const ROUNDS_AFTER = 3;

export interface ClockedNetwork {
  readonly url: string;
  readonly fetch: typeof fetch;
  /** The network's time when it was last looked at. */
  now(): bigint;
  advance(durationNs: bigint): Promise<void>;
  close(): Promise<void>;
}

export type OpenClocked = () => Promise<ClockedNetwork>;

async function json(url: string, method: "GET" | "POST" | "DELETE", body?: unknown): Promise<unknown> {
  const text = JSON.stringify(body, (_, value: unknown) =>
    typeof value === "bigint" ? `\u0000${value}\u0000` : value,
  )?.replaceAll(/"\\u0000(\d+)\\u0000"/g, "$1");
  const answer = await fetch(url, {
    method,
    ...(text === undefined ? {} : { body: text, headers: { "content-type": "application/json" } }),
  });
  if (!answer.ok) throw new Error(`${method} ${url}: HTTP ${answer.status} ${await answer.text()}`);
  return await answer.json().catch(() => null);
}

const NEW = { state_config: "New" };

/** An instance of the server with a root and two application subnets. */
async function openInstance(server: string): Promise<ClockedNetwork> {
  const made = (await json(`${server}/instances`, "POST", {
    subnet_config_set: { nns: NEW, application: [NEW, NEW] },
    initial_time: { Timestamp: { nanos_since_epoch: BEGINNING_NS } },
  })) as { readonly Created: { readonly instance_id: number } };
  const url = `${server}/instances/${made.Created.instance_id}`;
  await json(`${url}/auto_progress`, "POST", { artificial_delay_ms: null });
  let now = BEGINNING_NS;
  return {
    url,
    fetch,
    now: () => now,
    async advance(durationNs) {
      now += durationNs;
      await json(`${url}/update/set_certified_time`, "POST", { nanos_since_epoch: now });
      for (let i = 0; i < ROUNDS_AFTER; i++) await json(`${url}/update/tick`, "POST", {});
    },
    close: async () => void (await json(url, "DELETE")),
  };
}

/** What a PocketIC server at a URL, its own or one of its instances', offers; null when there is no such server. */
export async function clockOfServer(url: string): Promise<OpenClocked | null> {
  const server = url.replace(/(\/instances\/\d+)?\/*$/, "");
  const instances = await fetch(`${server}/instances`).catch(() => null);
  const isServer = instances?.ok === true && Array.isArray(await instances.json().catch(() => null));
  return isServer ? () => openInstance(server) : null;
}

/** A network in this process. */
export async function openInProcess(): Promise<ClockedNetwork> {
  const network = await createNetwork({ time: BEGINNING_NS, subnets: ["application", "application"] });
  let now = BEGINNING_NS;
  return {
    url: network.url,
    fetch: network.fetch as typeof fetch,
    now: () => now,
    async advance(durationNs) {
      network.advanceTime(Number(durationNs / NS_PER_MS));
      for (let i = 0; i < ROUNDS_AFTER; i++) network.tick();
      now = network.time();
    },
    close: () => network.stop(),
  };
}
