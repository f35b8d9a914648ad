/**
 * What a case is: a sentence of the specification's sections and a function that fails when it does not hold. Rows of one
 * parametrised case run as one case. A case that needs what the network lacks is not run, and says so.
 */
import type { World } from "./world.ts";

/** Headings of the interface specification, in its order. */
export const SECTIONS = [
  "Principals",
  "Canister lifecycle",
  "Canister cycles",
  "Canister status",
  "Signatures",
  "System state tree: Time",
  "System state tree: Subnet information",
  "System state tree: Request status",
  "System state tree: Canister information",
  "HTTPS interface",
  "Request: Call",
  "Request: Read state",
  "Request: Query call",
  "Effective canister id",
  "Authentication",
  "Representation-independent hashing of structured data",
  "Reject codes",
  "Error codes",
  "Status endpoint",
  "CBOR encoding of requests and responses",
  "Canister module format",
  "WebAssembly module requirements",
  "Interpretation of numbers",
  "Entry points",
  "Overview of imports",
  "Blob-typed arguments and results",
  "Method arguments",
  "Responding",
  "Ingress message inspection",
  "Self-identification",
  "Canister status and version",
  "Inter-canister method calls",
  "Cycles",
  "Stable memory",
  "System time",
  "Global timer",
  "Performance counter",
  "Replicated execution check",
  "Controller check",
  "Certified data",
  "Cost estimation",
  "Environment variables",
  "Debugging aids",
  "Heartbeats and low-memory hook",
  "Composite queries",
  "Management: create_canister",
  "Management: update_settings",
  "Management: chunk store",
  "Management: install_code",
  "Management: uninstall_code",
  "Management: canister_status",
  "Management: canister_metrics",
  "Management: canister_info",
  "Management: canister_metadata",
  "Management: stop_canister and start_canister",
  "Management: delete_canister",
  "Management: deposit_cycles",
  "Management: raw_rand",
  "Management: snapshots",
  "Management: fetch_canister_logs",
  "Management: list_canisters",
  "Management: subnet and node information",
  "Management: provisional API",
  "Management: threshold keys",
  "Management: HTTPS outcalls",
  "Certification: certificates",
  "Certification: lookup",
  "Certification: delegation",
  "Certification: encoding of certificates",
  "Abstract behaviour: message execution",
  "Abstract behaviour: call contexts",
  "Abstract behaviour: upgrades",
  "Abstract behaviour: resource limits",
] as const;
export type Section = (typeof SECTIONS)[number];

/** What not every network has. */
export const CAPABILITIES = {
  "several subnets": "the network has one subnet with canister ranges",
  "several nodes": "one node of the network is known: --url may be given again for others",
  "time control": "the network's clock cannot be moved by a client: --clock names a PocketIC server that can",
  "chain keys": "the network has no threshold keys",
  outcalls: "the network makes no HTTPS outcalls that a test can answer",
  administrators: "the network has no subnet administrators that the suite can act for",
  snapshots: "the network has no canister snapshots",
  "subnet information": "the network does not answer subnet_info and node_metrics_history",
} as const;
export type Capability = keyof typeof CAPABILITIES;

export interface Case {
  readonly section: Section;
  readonly title: string;
  readonly needs: readonly Capability[];
  /** Rows that the case runs; 1 where it is not parametrised. */
  readonly rows: number;
  readonly run: (world: World) => Promise<void>;
}

const cases: Case[] = [];

/** All cases that were declared, in the order of their sections. */
export function declaredCases(): readonly Case[] {
  return [...cases].sort((a, b) => SECTIONS.indexOf(a.section) - SECTIONS.indexOf(b.section));
}

export interface Declare {
  (title: string, run: (world: World) => Promise<void>): void;
  /** Cases that need a capability. */
  needing(...needs: readonly Capability[]): Declare;
  /** One case over rows; a failure names its row. */
  each<Row>(title: string, rows: readonly Row[], run: (world: World, row: Row) => Promise<void>): void;
}

/** The function that declares a section's cases. */
export function section(name: Section, needs: readonly Capability[] = []): Declare {
  const add = (title: string, rows: number, run: Case["run"]): void => {
    cases.push({ section: name, title, needs, rows, run });
  };
  const declare = (title: string, run: Case["run"]): void => add(title, 1, run);
  return Object.assign(declare, {
    needing: (...more: readonly Capability[]) => section(name, [...needs, ...more]),
    each: <Row>(title: string, rows: readonly Row[], run: (world: World, row: Row) => Promise<void>): void =>
      add(title, rows.length, async (world) => {
        await Promise.all(
          rows.map((row) =>
            run(world, row).catch((cause: unknown) => {
              throw new Error(`row ${describeRow(row)}: ${(cause as Error).message}`, { cause });
            }),
          ),
        );
      }),
  });
}

function describeRow(row: unknown): string {
  const text = JSON.stringify(row, (_, value: unknown) => {
    if (typeof value === "bigint") return `${value}n`;
    if (value instanceof Uint8Array) return `${value.length} bytes`;
    return value;
  });
  return (text ?? String(row)).slice(0, 200);
}
