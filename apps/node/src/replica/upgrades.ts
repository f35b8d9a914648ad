/**
 * Upgrades as a process has them: where the catch-up package of a subnet names another version of the program than this one, the subnet goes on
 * without this process, which stops by itself, with the state of the package on its disk. A process with nodes of several subnets stops when
 * the last of them has come so far. One that runs the version already that the registry names waits for the package of it.
 */
import { type Logger, principalToText, type SubnetId } from "@orrery/base";
import { type CatchUpPackage, decodeSummary } from "@orrery/consensus/member";
import type { SubnetIndex } from "../protocol.ts";
import type { SubnetRegistry } from "../registry/registry.ts";
import { VERSION } from "../version.ts";
import { Alarm } from "./alarm.ts";
import { replicaVersionDiffers } from "./failures.ts";

/** Until the others have heard of the package. */
const LINGER_MS = 2_000;

export interface UpgradesOptions {
  readonly hosted: readonly { readonly subnet: SubnetIndex; readonly subnetId: SubnetId }[];
  readonly registry: (subnet: SubnetIndex) => Pick<SubnetRegistry, "upgrade" | "firstReplicaVersion">;
  /** Writes down the states of all subnets as they are. */
  readonly settle: () => Promise<void>;
  readonly logger: Logger;
  readonly onFailure: (error: unknown) => void;
  /** Of this program; the packages' by default. */
  readonly own?: string;
  readonly lingerMs?: number;
}

/** What a node shows of versions. */
export interface ReplicaVersions {
  readonly running: string;
  /** By the newest version of the registry; null: none is named. */
  readonly wanted: string | null;
  /** The newest package is for another version than this: nothing is done here. */
  readonly isSuperseded: boolean;
}

export class Upgrades {
  readonly #options: UpgradesOptions;
  readonly #own: string;
  /** By the version that their newest packages name. */
  readonly #superseded = new Map<SubnetIndex, string>();
  readonly #linger = new Alarm(() => this.#end());
  #isEnding = false;

  constructor(options: UpgradesOptions) {
    this.#options = options;
    this.#own = options.own ?? VERSION;
  }

  of(subnet: SubnetIndex): ReplicaVersions {
    return {
      running: this.#own,
      wanted: this.#wanted(subnet),
      isSuperseded: this.#superseded.has(subnet),
    };
  }

  #wanted(subnet: SubnetIndex): string | null {
    return this.#options.registry(subnet).upgrade?.to ?? null;
  }

  /** The package of a subnet is for another version; null: there is none yet, and what follows the genesis is. */
  superseded(subnet: SubnetIndex, catchUp: Pick<CatchUpPackage, "height" | "block"> | null): void {
    const { logger, registry } = this.#options;
    const { height = 0, block } = catchUp ?? {};
    const summary = block?.payload.summary;
    const named = summary === undefined ? undefined : decodeSummary(summary).replicaVersion;
    const version = named ?? registry(subnet).firstReplicaVersion ?? this.#own;
    this.#superseded.set(subnet, version);
    const text = this.#isEarly(subnet)
      ? "this program is newer than the subnet's package: it waits for the package of its version"
      : "the subnet goes on with another version of the program";
    logger.log("warn", text, { subnet, height, running: this.#own, version });
    this.look();
  }

  /** There is a newer package: `superseded` follows where it is for another version, too. */
  packaged(subnet: SubnetIndex): void {
    this.#superseded.delete(subnet);
  }

  #isEarly(subnet: SubnetIndex): boolean {
    return this.#wanted(subnet) === this.#own;
  }

  /** The registry may have grown. */
  look(): void {
    const { hosted, lingerMs = LINGER_MS } = this.#options;
    if (this.#isEnding) return;
    const isOver = [...this.#superseded.keys()].some((subnet) => !this.#isEarly(subnet));
    const isPending = ({ subnet }: { readonly subnet: SubnetIndex }): boolean => {
      const wanted = this.#wanted(subnet);
      return !this.#superseded.has(subnet) && wanted !== null && wanted !== this.#own;
    };
    if (!isOver || hosted.some(isPending)) return;
    this.#isEnding = true;
    this.#linger.set(lingerMs);
  }

  #end(): void {
    const { hosted, settle, onFailure } = this.#options;
    const [subnet, version] = [...this.#superseded].find(([each]) => !this.#isEarly(each)) ?? [];
    const place = hosted.find((each) => each.subnet === subnet);
    if (place === undefined || version === undefined) {
      this.#isEnding = false;
      return;
    }
    const text = { subnet: principalToText(place.subnetId), running: this.#own, version };
    settle().then(() => onFailure(replicaVersionDiffers(text)), onFailure);
  }

  stop(): void {
    this.#linger.set(null);
  }
}
