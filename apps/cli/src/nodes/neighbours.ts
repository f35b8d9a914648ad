/**
 * Nodes that joined the network of `orrery start`, as far as they run from its directory: processes of their own (`orrery node run`), of subnets
 * that may have been created since. They are looked for now and then, and the port in front leads requests to them.
 */
import { nodeDirectory, nodePlaces } from "@orrery/host/directory-content";
import type { Routes, TopologyRanges } from "@orrery/node/routes";
import { type NetworkInfo, runningNetwork } from "../state-files.ts";

/** Between two looks. */
const LOOK_MS = 2_000;
const ANSWER_MS = 5_000;
/** Directories that are looked into. */
const NEIGHBOURS_MAX = 256;
/** Where the port in front reaches a node. */
const LOOPBACK = "127.0.0.1";

export interface NeighboursOptions {
  /** Of the network. */
  readonly stateDir: string;
  /** Processes that the network began with. */
  readonly begun: number;
  readonly routes: Pick<Routes, "idOf" | "learn">;
  /** Others run than before. */
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
}

interface TopologyDocument {
  readonly subnet_configs: Readonly<Record<string, { readonly canister_ranges: TopologyRanges }>>;
}

export class Neighbours {
  readonly #options: NeighboursOptions;
  #running: readonly NetworkInfo[] = [];
  #timer: NodeJS.Timeout | null = null;
  #looking = false;

  constructor(options: NeighboursOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#timer = setInterval(() => {
      if (this.#looking) return;
      this.#looking = true;
      this.look()
        .catch(this.#options.onError)
        .finally(() => {
          this.#looking = false;
        });
    }, LOOK_MS).unref();
  }

  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  infos(): readonly NetworkInfo[] {
    return this.#running;
  }

  /** Of those that have a node of the subnet. */
  ports(subnet: number): readonly number[] {
    const id = this.#options.routes.idOf(subnet);
    return this.#running
      .filter(({ subnets }) => subnets.some((each) => each.id === id))
      .map(({ api_url: url }) => Number(new URL(url).port));
  }

  /** Once; what cannot be asked now is not there. */
  async look(): Promise<void> {
    const { stateDir, begun, onChange } = this.#options;
    const places = nodePlaces(stateDir)
      .filter((place) => place >= begun)
      .slice(0, NEIGHBOURS_MAX);
    const found = await Promise.all(places.map((place) => this.#ask(nodeDirectory(stateDir, place))));
    const running = found.filter((info) => info !== null);
    const name = (all: readonly NetworkInfo[]): string => all.map(({ api_url: url }) => url).join();
    const isSame = name(running) === name(this.#running);
    this.#running = running;
    if (!isSame) onChange();
  }

  async #ask(directory: string): Promise<NetworkInfo | null> {
    const info = await runningNetwork(directory);
    if (info === null || URL.parse(info.api_url)?.hostname !== LOOPBACK) return null;
    const isKnown = this.#running.some(({ pid, api_url: url }) => pid === info.pid && url === info.api_url);
    if (isKnown) return info;
    try {
      const signal = AbortSignal.timeout(ANSWER_MS);
      const { rangesIn } = await import("@orrery/node/routes");
      const told = (await (await fetch(`${info.api_url}/_/topology`, { signal })).json()) as TopologyDocument;
      for (const [id, { canister_ranges: ranges }] of Object.entries(told.subnet_configs))
        this.#options.routes.learn({ id, ranges: rangesIn(ranges) });
      return info;
    } catch {
      // It ends, or begins; it is looked for again.
      return null;
    }
  }
}
