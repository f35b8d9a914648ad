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

function settingsOf(canister: CanisterSpec, ids: ReadonlyMap<string, string>): Settings {
  const given = canister.settings;
  const numbers = NUMBERS.flatMap((name) =>
    given[name] === undefined || given[name] === null
      ? []
      : [[name, amount(given[name], `canister ${canister.name}: settings.${name}`)] as const],
  );
  const own = Object.entries((given["environment_variables"] ?? {}) as Readonly<Record<string, unknown>>);
  const variables = [
    ...own.map(([name, value]) => ({ name, value: String(value) })),
    ...[...ids].map(([name, value]) => ({ name: `${VARIABLE_PREFIX}${name}`, value })),
  ];
  return { ...Object.fromEntries(numbers), environment_variables: variables };
}

/** Whether the module says that upgrades keep its heap. */
function keepsHeap(wasm: Uint8Array): boolean {
  const sections = customSections(wasm);
  return (
    sections.has(`icp:private ${PERSISTENCE_SECTION}`) || sections.has(`icp:public ${PERSISTENCE_SECTION}`)
  );
}

export interface Deployment {
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

  async function exists(id: string): Promise<boolean> {
    try {
      await management.status(Principal.fromText(id));
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw new OrreryError("deploy_failed", `canister ${id}: ${rejection(error)}`, { cause: error });
    }
  }

  /** Ids of all canisters to deploy, created where there are none; and of those that are already there. */
  async function place(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const all = new Map<string, string>();
    for (const { name } of project.canisters) {
      const known = ids.get(name);
      const there = known !== null && (told.has(name) || (await exists(known)));
      if (there) all.set(name, known);
      else if (names.includes(name)) {
        const id = (await management.create()).toText();
        ids.set(name, id);
        all.set(name, id);
      }
    }
    return all;
  }

  async function tell(
    canister: CanisterSpec,
    id: Principal,
    all: ReadonlyMap<string, string>,
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
    async deploy(built, mode) {
      const all = await place(built.map(({ canister }) => canister.name));
      const deployed: Deployed[] = [];
      for (const each of built) {
        const { name } = each.canister;
        const text = all.get(name) as string;
        try {
          await tell(each.canister, Principal.fromText(text), all);
          const outcome = await install(management, each, text, mode);
          await sync(each.canister, text);
          deployed.push({ name, id: text, outcome });
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
  text: string,
  mode: "auto" | "reinstall",
): Promise<Deployed["outcome"]> {
  const id = Principal.fromText(text);
  const [current] = (await management.status(id)).module_hash;
  const sha256 = new Uint8Array(createHash("sha256").update(wasm).digest());
  const upload = (how: Mode, args: InstallArgs | null): Promise<void> =>
    management.install({ id, mode: how, wasm, sha256, arg: argBytes(args) });
  if (current === undefined) {
    await upload({ install: null }, canister.initArgs);
    return "installed";
  }
  if (mode === "reinstall") {
    await upload({ reinstall: null }, canister.initArgs);
    return "reinstalled";
  }
  if (Buffer.from(current).equals(sha256)) return "unchanged";
  const keep: Mode = keepsHeap(wasm)
    ? { upgrade: [{ wasm_memory_persistence: [{ keep: null }] }] }
    : { upgrade: [] };
  await upload(keep, canister.upgradeArgs);
  return "upgraded";
}
