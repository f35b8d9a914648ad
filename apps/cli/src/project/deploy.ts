/**
 * Brings canisters of a project onto a network: created when they are not there, told each other's ids by environment variables
 * (`PUBLIC_CANISTER_ID:<name>`, as `icp` does), installed, or upgraded with their data kept. What has not changed is left alone.
 */
import { createHash } from "node:crypto";
import { Principal } from "@icp-sdk/core/principal";
import { OrreryError } from "@orrery/base";
import type { Io } from "../io.ts";
import { type Built, runCommand } from "./build.ts";
import { encodeCandidText } from "./candid-text.ts";
import type { CanisterIds } from "./ids.ts";
import { type Management, type Mode, managementOf, type Settings } from "./management.ts";
import type { CanisterSpec, InstallArgs, Project } from "./manifest.ts";
import { projectError } from "./manifest.ts";
import { customSections } from "./module.ts";
import type { Target } from "./target.ts";

const VARIABLE_PREFIX = "PUBLIC_CANISTER_ID:";
const EMPTY_ARGS = "()";
const PERSISTENCE_SECTION = "enhanced-orthogonal-persistence";

export interface Deployed {
  readonly name: string;
  readonly id: string;
  readonly outcome: "installed" | "upgraded" | "reinstalled" | "unchanged";
}

/** What the network said when it refused something, without the client's own words around it. */
export function rejection(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /Reject text: ([\s\S]*?)(?:\n\s*Error code:|\n\s*Context:|$)/i.exec(message)?.[1]?.trim() ?? message;
}

/** Whether the network answered that it has no such canister. */
export function isMissing(error: unknown): boolean {
  return /not found|does not belong|IC0301|canister ranges/i.test(String(error));
}

function argBytes(args: InstallArgs | null): Uint8Array {
  if (args === null) return encodeCandidText(EMPTY_ARGS);
  if (args.format === "candid") return encodeCandidText(args.text);
  return new Uint8Array(Buffer.from(args.text.replace(/^0x/i, ""), "hex"));
}

/** Numbers with a unit (`1GiB`, `5t`, `30d`), as the format of the project allows. */
const UNITS: Readonly<Record<string, bigint>> = {
  kb: 1_000n,
  kib: 1_024n,
  mb: 1_000_000n,
  mib: 1_048_576n,
  gb: 1_000_000_000n,
  gib: 1_073_741_824n,
  k: 1_000n,
  m: 1_000_000n,
  b: 1_000_000_000n,
  t: 1_000_000_000_000n,
  s: 1n,
  min: 60n,
  h: 3_600n,
  d: 86_400n,
  w: 604_800n,
};

export function amount(value: unknown, what: string): bigint {
  const [, digits, unit] = /^([\d_]+)\s*([a-z]*)$/i.exec(String(value)) ?? [];
  const factor = unit === "" ? 1n : UNITS[unit?.toLowerCase() ?? ""];
  if (digits === undefined || factor === undefined) {
    throw projectError(`${what} is ${JSON.stringify(value)}; expected a number, with a unit if you like`);
  }
  return BigInt(digits.replaceAll("_", "")) * factor;
}

const NUMBERS = [
  "compute_allocation",
  "memory_allocation",
  "freezing_threshold",
  "reserved_cycles_limit",
  "wasm_memory_limit",
] as const;

function settingsOf(canister: CanisterSpec, all: ReadonlyMap<string, Placed>): Settings {
  const given = canister.settings;
  const numbers = NUMBERS.flatMap((name) =>
    given[name] === undefined || given[name] === null
      ? []
      : [[name, amount(given[name], `canister ${canister.name}: settings.${name}`)] as const],
  );
  const own = Object.entries((given["environment_variables"] ?? {}) as Readonly<Record<string, unknown>>);
  const variables = [
    ...own.map(([name, value]) => ({ name, value: String(value) })),
    ...[...all].map(([name, { id }]) => ({ name: `${VARIABLE_PREFIX}${name}`, value: id })),
  ];
  return { ...Object.fromEntries(numbers), environment_variables: variables };
}

/** What the network has of a canister: its module, if any. Null: nothing. */
type Present = { readonly moduleHash: Uint8Array | null } | null;

interface Placed {
  readonly id: string;
  /** Of those that are deployed. */
  readonly moduleHash: Uint8Array | null;
}

/** Whether the module says that upgrades keep its heap. */
function keepsHeap(wasm: Uint8Array): boolean {
  const sections = customSections(wasm);
  return (
    sections.has(`icp:private ${PERSISTENCE_SECTION}`) || sections.has(`icp:public ${PERSISTENCE_SECTION}`)
  );
}

export interface Deployment {
  /** Asks what the network has of these canisters, while they are built; the next deployment goes by the answers. */
  foresee(canisters: readonly CanisterSpec[]): void;
  deploy(built: readonly Built[], mode: "auto" | "reinstall"): Promise<readonly Deployed[]>;
}

export function createDeployment(options: {
  readonly project: Project;
  readonly target: Target;
  readonly ids: CanisterIds;
  readonly io: Io;
}): Deployment {
  const { project, target, ids, io } = options;
  const management = managementOf(target.agent, target.place);
  /** Variables that each canister was last given, so that a save asks for nothing that has not changed. */
  const told = new Map<string, string>();

  /** Asked ahead, and not used yet. */
  const foreseen = new Map<string, Promise<Present>>();

  async function look(id: string): Promise<Present> {
    try {
      return { moduleHash: (await management.status(Principal.fromText(id))).module_hash[0] ?? null };
    } catch (error) {
      if (isMissing(error)) return null;
      throw new OrreryError("deploy_failed", `canister ${id}: ${rejection(error)}`, { cause: error });
    }
  }

  async function lookAt(name: string, id: string): Promise<Present> {
    const asked = foreseen.get(id);
    foreseen.delete(id);
    const present = await (asked ?? look(id));
    // Another one will have its name, and has been told nothing.
    if (present === null) told.delete(name);
    return present;
  }

  /** All canisters by name, those to deploy created where there are none. */
  async function place(names: readonly string[]): Promise<ReadonlyMap<string, Placed>> {
    const all = new Map<string, Placed>();
    for (const { name } of project.canisters) {
      const id = ids.get(name);
      if (id !== null && !names.includes(name) && told.has(name)) {
        all.set(name, { id, moduleHash: null });
        continue;
      }
      const present = id === null ? null : await lookAt(name, id);
      if (id !== null && present !== null) all.set(name, { id, ...present });
      else if (names.includes(name)) {
        const created = (await management.create()).toText();
        ids.set(name, created);
        all.set(name, { id: created, moduleHash: null });
      }
    }
    return all;
  }

  async function tell(
    canister: CanisterSpec,
    id: Principal,
    all: ReadonlyMap<string, Placed>,
  ): Promise<void> {
    const settings = settingsOf(canister, all);
    const shown = JSON.stringify(settings, (_, value) => (typeof value === "bigint" ? `${value}` : value));
    if (told.get(canister.name) === shown) return;
    await management.update(id, settings);
    told.set(canister.name, shown);
  }

  async function sync(canister: CanisterSpec, id: string): Promise<void> {
    for (const command of canister.sync) {
      const env = { ICP_CLI_ENVIRONMENT: "local", ICP_CLI_CID: id };
      const code = await runCommand({ command, directory: canister.directory, env, io });
      if (code !== 0) {
        throw new OrreryError("sync_failed", `canister ${canister.name}: "${command}" ended with ${code}`);
      }
    }
  }

  return {
    foresee(canisters) {
      foreseen.clear();
      for (const { name } of canisters) {
        const id = ids.get(name);
        if (id === null) continue;
        const asked = look(id);
        // Whoever needs it hears of a failure.
        asked.catch(() => {});
        foreseen.set(id, asked);
      }
    },
    async deploy(built, mode) {
      const all = await place(built.map(({ canister }) => canister.name));
      const deployed: Deployed[] = [];
      for (const each of built) {
        const { name } = each.canister;
        const placed = all.get(name) as Placed;
        const { id } = placed;
        try {
          await tell(each.canister, Principal.fromText(id), all);
          const outcome = await install(management, each, placed, mode);
          await sync(each.canister, id);
          deployed.push({ name, id, outcome });
        } catch (error) {
          if (error instanceof OrreryError) throw error;
          throw new OrreryError("deploy_failed", `canister ${name}: ${rejection(error)}`, { cause: error });
        }
      }
      return deployed;
    },
  };
}

async function install(
  management: Management,
  { canister, wasm }: Built,
  placed: Placed,
  mode: "auto" | "reinstall",
): Promise<Deployed["outcome"]> {
  const id = Principal.fromText(placed.id);
  const { moduleHash } = placed;
  const sha256 = new Uint8Array(createHash("sha256").update(wasm).digest());
  const upload = (how: Mode, args: InstallArgs | null): Promise<void> =>
    management.install({ id, mode: how, wasm, sha256, arg: argBytes(args) });
  if (moduleHash === null) {
    await upload({ install: null }, canister.initArgs);
    return "installed";
  }
  if (mode === "reinstall") {
    await upload({ reinstall: null }, canister.initArgs);
    return "reinstalled";
  }
  if (Buffer.from(moduleHash).equals(sha256)) return "unchanged";
  const keep: Mode = keepsHeap(wasm)
    ? { upgrade: [{ wasm_memory_persistence: [{ keep: null }] }] }
    : { upgrade: [] };
  await upload(keep, canister.upgradeArgs);
  return "upgraded";
}
