/** What a drill of nodes is told, and what it tells in the end. */
import type { Heights } from "./going-on.ts";
import type { SmallDisk } from "./small-disk.ts";

export interface DrillOptions {
  /** Empty or not there. */
  readonly stateDir: string;
  /** Of each subnet. */
  readonly nodes: number;
  /** Subnets beside the root. */
  readonly applications: number;
  /** Each node of each subnet is a process of its own, those of the root first; else those of one place share one. */
  readonly split: boolean;
  readonly seed: number;
  readonly forMs: number;
  readonly clients: number;
  readonly pauseMs: number;
  /** Factor on what may take long, for machines that do much else. */
  readonly patience: number;
  readonly catchUpInterval: number;
  /** Where one process's directory lies on a disk that can be filled; null for none. */
  readonly smallDisk: SmallDisk | null;
  /** The place of the process that misbehaves in the last third of the time, in one way after another; null for none. */
  readonly byzantine: number | null;
  readonly report: (line: string) => void;
}

export interface DrillResult {
  readonly answered: number;
  readonly reads: number;
  /** Of the answered ones: by a call from another subnet. */
  readonly relayed: number;
  /** Sent again to another node or once more. */
  readonly resent: number;
  readonly givenUp: number;
  readonly refused: number;
  readonly stale: number;
  readonly faultsByKind: Readonly<Record<string, number>>;
  readonly majorFaults: number;
  /** How one node misbehaved, and what it said that was not as it is. */
  readonly misbehaviours: Readonly<Record<string, number>>;
  readonly twisted: number;
  /** Milliseconds from the end of the faults until every node went on (`going-on.ts`), and an update was answered. */
  readonly recoveryMsMedian: number;
  readonly recoveryMsMax: number;
  /** Longest time without an answer while no more nodes failed than may. */
  readonly gapMsMax: number;
  /** In the end, of each honest node, of each subnet. */
  readonly heights: readonly Heights[];
}
