/**
 * System canisters that a user brings: modules of the public network's own canisters (Internet Identity, governance, the registry …), which
 * this program does not carry, installed under the ids that they have there when a network starts that does not have them yet. Named by
 * `ORRERY_SYSTEM_WASM` or `--system-wasm`: a folder of `<name>.wasm` or `<name>.wasm.gz`, or a list `name=path,name=path`. Beside a module,
 * `<name>.args` holds its installation argument in Candid's textual form, `<name>.args.bin` its bytes.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import type { Io } from "./io.ts";
import { withProgress } from "./project/progress.ts";

export const SYSTEM_WASM_VARIABLE = "ORRERY_SYSTEM_WASM";

/** In the order of installation: later ones ask earlier ones. */
const IDS = {
  registry: "rwlgt-iiaaa-aaaaa-aaaaa-cai",
  root: "r7inp-6aaaa-aaaaa-aaabq-cai",
  lifeline: "rno2w-sqaaa-aaaaa-aaacq-cai",
  "genesis-token": "renrk-eyaaa-aaaaa-aaada-cai",
  governance: "rrkah-fqaaa-aaaaa-aaaaq-cai",
  "sns-wasm": "qaa6y-5yaaa-aaaaa-aaafa-cai",
  "nns-dapp": "qoctq-giaaa-aaaaa-aaaea-cai",
  "icp-index": "qhbym-qaaaa-aaaaa-aaafq-cai",
  "cycles-ledger-index": "ul4oc-4iaaa-aaaaq-qaabq-cai",
  "exchange-rate": "uf6dk-hyaaa-aaaaq-qaaaq-cai",
  "canister-migration": "sbzkb-zqaaa-aaaaa-aaaiq-cai",
  "internet-identity": "rdmx6-jaaaa-aaaaa-aaadq-cai",
  "internet-identity-frontend": "uqzsh-gqaaa-aaaaq-qaada-cai",
} as const;
export type SystemName = keyof typeof IDS;
const NAMES = Object.keys(IDS) as readonly SystemName[];
/** Every network has these, as this project wrote them. */
const OWN: ReadonlySet<string> = new Set(["icp-ledger", "cycles-ledger", "cycles-minting"]);
const MODULE = /\.wasm(\.gz)?$/;
const FILE = /^(.*)(\.wasm|\.wasm\.gz|\.args|\.args\.bin)$/;
/** The largest module that a network installs, and a little more. */
const BYTES_MAX = 104_857_600;
/** Thousands of years of an idle canister; system subnets charge nothing. */
const CYCLES = 10n ** 16n;
/** The root canister of the public network's governance, and the anonymous principal, by whom users change what they brought. */
const CONTROLLERS = ["r7inp-6aaaa-aaaaa-aaabq-cai", "2vxsx-fae"];

export interface SystemWasm {
  readonly name: SystemName;
  /** Textual. */
  readonly canisterId: string;
  readonly path: string;
  readonly wasm: Uint8Array;
  readonly args:
    | { readonly format: "candid"; readonly text: string }
    | { readonly format: "bytes"; readonly bytes: Uint8Array }
    | null;
}

function invalid(text: string, cause?: unknown): OrreryError {
  return new OrreryError("system_wasm_invalid", text, cause === undefined ? {} : { cause });
}

function nameOf(text: string, where: string): SystemName {
  const name = NAMES.find((each) => each === text);
  if (name !== undefined) return name;
  if (OWN.has(text))
    throw invalid(`${where}: every network has its own ${text}, which is not replaced; leave it out`);
  throw invalid(`${where}: "${text}" is no system canister's name; known are ${NAMES.join(", ")}`);
}

function read(path: string): Uint8Array {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() !== true)
    throw invalid(`there is no module at ${path}; correct ${SYSTEM_WASM_VARIABLE} or --system-wasm`);
  if (stat.size > BYTES_MAX) throw invalid(`${path} has ${stat.size} bytes; modules have up to ${BYTES_MAX}`);
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    throw invalid(`${path} cannot be read (${(cause as Error).message}); fix its permissions`, cause);
  }
}

function load(name: SystemName, path: string): SystemWasm {
  const wasm = read(path);
  const isModule = wasm[0] === 0 && wasm[1] === 0x61 && wasm[2] === 0x73 && wasm[3] === 0x6d;
  const isGzip = wasm[0] === 0x1f && wasm[1] === 0x8b;
  if (!isModule && !isGzip)
    throw invalid(
      `${path} is no Wasm module, compressed by gzip or not; give the module that was published for ${name}`,
    );
  const stem = path.replace(MODULE, "");
  const has = (file: string): boolean => statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  const [text, bytes] = [`${stem}.args`, `${stem}.args.bin`];
  if (has(text) && has(bytes)) throw invalid(`${name} has both ${text} and ${bytes}; keep one of them`);
  const args = has(text)
    ? ({ format: "candid", text: readFileSync(text, "utf8") } as const)
    : has(bytes)
      ? ({ format: "bytes", bytes: read(bytes) } as const)
      : null;
  return { name, canisterId: IDS[name], path, wasm, args };
}

function ofFolder(folder: string): readonly SystemWasm[] {
  const modules = new Map<SystemName, string>();
  const beside: SystemName[] = [];
  for (const file of readdirSync(folder).sort()) {
    const [, stem, ending = ""] = FILE.exec(file) ?? [];
    if (stem === undefined) continue;
    const path = join(folder, file);
    const name = nameOf(stem, path);
    const other = modules.get(name);
    if (!MODULE.test(ending)) beside.push(name);
    else if (other !== undefined) throw invalid(`${name} has both ${other} and ${path}; keep one of them`);
    else modules.set(name, path);
  }
  const lonely = beside.find((name) => !modules.has(name));
  if (lonely !== undefined) throw invalid(`${folder} has arguments for ${lonely} and no ${lonely}.wasm`);
  if (modules.size === 0)
    throw invalid(
      `${folder} holds no module of a system canister; name them ${NAMES[0]}.wasm, ${NAMES[4]}.wasm.gz and so on`,
    );
  return [...modules].map(([name, path]) => load(name, path));
}

function ofList(value: string, cwd: string): readonly SystemWasm[] {
  const found = new Map<SystemName, SystemWasm>();
  for (const item of value
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "")) {
    const at = item.indexOf("=");
    if (at < 1) throw invalid(`"${item}" is not of the form name=path; known names are ${NAMES.join(", ")}`);
    const name = nameOf(item.slice(0, at), `"${item}"`);
    if (found.has(name)) throw invalid(`${name} is named twice; name it once`);
    found.set(name, load(name, resolve(cwd, item.slice(at + 1))));
  }
  return [...found.values()];
}

/** What a user brings, checked before anything starts. `value`: of the variable or the option; errors: `system_wasm_invalid`. */
export function systemWasm(value: string | undefined, cwd: string): readonly SystemWasm[] {
  if (value === undefined || value.trim() === "") return [];
  const path = resolve(cwd, value);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined && !value.includes("="))
    throw invalid(`there is no folder ${path}; name a folder of modules, or a list name=path,name=path`);
  if (stat?.isFile() === true)
    throw invalid(`${path} is a file; name its folder, or say what it is: NAME=${basename(path)}`);
  const brought = stat === undefined ? ofList(value, cwd) : ofFolder(path);
  return [...brought].sort((a, b) => NAMES.indexOf(a.name) - NAMES.indexOf(b.name));
}

async function installOne(
  url: string,
  { name, canisterId, path, wasm, args }: SystemWasm,
): Promise<"installed" | "there"> {
  const [{ createHash }, { Principal }, { managementOf }, { connect }, deploy, { encodeCandidText }] =
    await Promise.all([
      import("node:crypto"),
      import("@icp-sdk/core/principal"),
      import("./project/management.ts"),
      import("./project/target.ts"),
      import("./project/deploy.ts"),
      import("./project/candid-text.ts"),
    ]);
  try {
    const arg = args?.format === "bytes" ? args.bytes : encodeCandidText(args?.text ?? "()");
    const { agent } = await connect(url);
    const id = Principal.fromText(canisterId);
    const management = managementOf(agent, id);
    const module = await management.status(id).then(
      ({ module_hash }) => module_hash,
      (error: unknown) => {
        if (deploy.isMissing(error)) return null;
        throw error;
      },
    );
    if (module?.[0] !== undefined) return "there";
    if (module === null) {
      const controllers = CONTROLLERS.map((text) => Principal.fromText(text));
      await management.create({ id, amount: CYCLES, controllers });
    }
    const sha256 = new Uint8Array(createHash("sha256").update(wasm).digest());
    await management.install({ id, mode: { install: null }, wasm, sha256, arg });
    return "installed";
  } catch (cause) {
    throw new OrreryError(
      "system_wasm_refused",
      `${name} (${path}) could not be installed as ${canisterId}: ${deploy.rejection(cause)}; bring another version of it, or its argument in ${path.replace(MODULE, "")}.args`,
      { cause },
    );
  }
}

/** Installs what the network at `url` does not have yet; what is there keeps its state and module. */
export async function installSystemWasm(url: string, brought: readonly SystemWasm[], io: Io): Promise<void> {
  for (const each of brought) {
    const done = await withProgress(io, `installing ${each.name}`, () => installOne(url, each));
    if (done === "installed") io.err(io.style("dim", `${each.name} is at ${each.canisterId}\n`));
  }
}
