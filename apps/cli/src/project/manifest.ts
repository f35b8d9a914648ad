/**
 * A project as `icp.yaml` describes it: the format is that of `icp`, and nothing is added to it. What is read is what building and deploying on
 * a local network needs; the rest is left to the tools that it is for.
 */
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import { parse, YAMLParseError } from "yaml";

export const PROJECT_FILE = "icp.yaml";
const CANISTER_FILE = "canister.yaml";
/** A description longer than this is no description. */
const FILE_BYTES_MAX = 1_048_576;

export type BuildStep =
  | { readonly kind: "script"; readonly commands: readonly string[] }
  | { readonly kind: "pre-built"; readonly path: string; readonly sha256: string | null };

export type BuildPlan =
  | {
      readonly kind: "motoko";
      /** Relative to the canister's directory. */
      readonly main: string;
      /** Flags of the compiler, as one line. */
      readonly args: string;
      /** An interface that the actor must have, in place of the one that it has. */
      readonly candid: string | null;
    }
  | { readonly kind: "steps"; readonly steps: readonly BuildStep[] };

export interface InstallArgs {
  readonly text: string;
  readonly format: "candid" | "hex";
}

export interface CanisterSpec {
  readonly name: string;
  /** Where its paths start and its scripts run. */
  readonly directory: string;
  readonly plan: BuildPlan;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly initArgs: InstallArgs | null;
  readonly upgradeArgs: InstallArgs | null;
  /** Commands to run once it is deployed. */
  readonly sync: readonly string[];
}

export interface NetworkSpec {
  readonly name: string;
  readonly mode: "managed" | "connected";
  readonly url: string | null;
}

export interface Project {
  readonly root: string;
  readonly canisters: readonly CanisterSpec[];
  readonly networks: readonly NetworkSpec[];
}

type Fields = Readonly<Record<string, unknown>>;

export function projectError(text: string, cause?: unknown): OrreryError {
  return new OrreryError("project_invalid", text, cause === undefined ? {} : { cause });
}

/** The directory of the project that `from` is in. */
export function findProject(from: string): string {
  for (let directory = resolve(from); ; directory = dirname(directory)) {
    if (existsSync(join(directory, PROJECT_FILE))) return directory;
    if (dirname(directory) === directory) {
      throw new OrreryError(
        "project_missing",
        `there is no ${PROJECT_FILE} in ${resolve(from)} or above it; go to a project's directory, or make one with "orrery new"`,
      );
    }
  }
}

function readYaml(path: string): Fields {
  if (statSync(path).size > FILE_BYTES_MAX)
    throw projectError(`${path} is longer than ${FILE_BYTES_MAX} bytes`);
  try {
    const value: unknown = parse(readFileSync(path, "utf8")) ?? {};
    if (typeof value === "object" && !Array.isArray(value)) return value as Fields;
  } catch (cause) {
    if (!(cause instanceof YAMLParseError)) throw cause;
    throw projectError(`${path} is not YAML: ${cause.message.trim()}`, cause);
  }
  throw projectError(`${path} must hold names with values at its top, such as "canisters:"`);
}

function list(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw projectError(`${what} must be a list`);
  return value;
}

function fields(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw projectError(`${what} must hold names with values`);
}

function text(value: unknown, what: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw projectError(`${what} is missing: give a text`);
}

function commands(step: Fields, what: string): readonly string[] {
  if (step["command"] !== undefined) return [text(step["command"], `${what}: command`)];
  return list(step["commands"], `${what}: commands`).map((each) => text(each, `${what}: a command`));
}

function buildStep(value: unknown, what: string): BuildStep {
  const step = fields(value, what);
  switch (step["type"]) {
    case "script":
      return { kind: "script", commands: commands(step, what) };
    case "pre-built": {
      if (step["path"] === undefined) {
        throw projectError(`${what}: a module behind a URL is not fetched; download it and give its path`);
      }
      const sha256 = step["sha256"];
      return {
        kind: "pre-built",
        path: text(step["path"], `${what}: path`),
        sha256: typeof sha256 === "string" ? sha256.toLowerCase() : null,
      };
    }
    default:
      throw projectError(
        `${what}: its type is ${JSON.stringify(step["type"])}; expected script or pre-built`,
      );
  }
}

function recipePlan(value: unknown, what: string): BuildPlan {
  const recipe = fields(value, `${what}: recipe`);
  const type = text(recipe["type"], `${what}: recipe.type`);
  const given = fields(recipe["configuration"] ?? {}, `${what}: recipe.configuration`);
  const at = (name: string): string => text(given[name], `${what}: recipe.configuration.${name}`);
  const [name] = type.split(/@v?\d/);
  if (name === "@dfinity/motoko") {
    return {
      kind: "motoko",
      main: at("main"),
      args: given["args"] === undefined ? "" : at("args"),
      candid: given["candid"] === undefined ? null : at("candid"),
    };
  }
  if (name === "@dfinity/prebuilt") {
    return { kind: "steps", steps: [buildStep({ ...given, type: "pre-built" }, what)] };
  }
  throw projectError(
    `${what}: the recipe ${type} is not known here; @dfinity/motoko and @dfinity/prebuilt are, and build steps do anything else`,
  );
}

function planOf(canister: Fields, what: string): BuildPlan {
  if (canister["recipe"] !== undefined) return recipePlan(canister["recipe"], what);
  const build = fields(canister["build"], `${what}: build or recipe`);
  const steps = list(build["steps"], `${what}: build.steps`).map((step, index) =>
    buildStep(step, `${what}: build step ${index + 1}`),
  );
  if (steps.length === 0) throw projectError(`${what}: build.steps is empty`);
  return { kind: "steps", steps };
}

function argsOf(value: unknown, directory: string, what: string): InstallArgs | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") {
    return { text: value, format: /^(0x)?([0-9a-f]{2})+$/i.test(value) ? "hex" : "candid" };
  }
  const given = fields(value, what);
  const format = given["format"] ?? "candid";
  if (format !== "candid" && format !== "hex") {
    throw projectError(`${what}: format is ${JSON.stringify(format)}; expected candid or hex`);
  }
  if (given["path"] === undefined) return { text: text(given["value"], `${what}: value or path`), format };
  const path = resolve(directory, text(given["path"], `${what}: path`));
  try {
    return { text: readFileSync(path, "utf8").trim(), format };
  } catch (cause) {
    throw projectError(`${what}: ${path} cannot be read`, cause);
  }
}

function canisterOf(value: unknown, directory: string, what: string): CanisterSpec {
  const canister = fields(value, what);
  const name = text(canister["name"], `${what}: name`);
  const named = `canister ${name}`;
  const sync = fields(canister["sync"] ?? {}, `${named}: sync`);
  const initArgs = argsOf(canister["init_args"], directory, `${named}: init_args`);
  return {
    name,
    directory,
    plan: planOf(canister, named),
    settings: fields(canister["settings"] ?? {}, `${named}: settings`),
    initArgs,
    upgradeArgs: argsOf(canister["upgrade_args"], directory, `${named}: upgrade_args`) ?? initArgs,
    sync: list(sync["steps"], `${named}: sync.steps`).flatMap((step, index) => {
      const what = `${named}: sync step ${index + 1}`;
      const given = fields(step, what);
      if (given["type"] !== "script") {
        throw projectError(
          `${what}: its type is ${JSON.stringify(given["type"])}; only script steps run here`,
        );
      }
      return commands(given, what);
    }),
  };
}

/** The canisters that an entry of the list stands for: one in place, or files elsewhere. */
function expand(entry: unknown, root: string, index: number): readonly CanisterSpec[] {
  if (typeof entry !== "string") return [canisterOf(entry, root, `canister ${index + 1} of ${PROJECT_FILE}`)];
  const found = globSync(entry, { cwd: root })
    .map((path) => join(root, path))
    .map((path) => (statSync(path).isDirectory() ? join(path, CANISTER_FILE) : path))
    .filter((path) => existsSync(path))
    .sort();
  if (found.length === 0) throw projectError(`${PROJECT_FILE}: no file matches ${entry}`);
  return found.map((path) => canisterOf(readYaml(path), dirname(path), path));
}

function networkOf(value: unknown, index: number): NetworkSpec {
  const what = `network ${index + 1} of ${PROJECT_FILE}`;
  const network = fields(value, what);
  const mode = network["mode"];
  if (mode !== "managed" && mode !== "connected") {
    throw projectError(`${what}: mode is ${JSON.stringify(mode)}; expected managed or connected`);
  }
  const url = network["url"] ?? network["api-url"];
  return { name: text(network["name"], `${what}: name`), mode, url: typeof url === "string" ? url : null };
}

/** Reads the project in `root`. Errors: `project_invalid`, naming the place and what was expected. */
export function readProject(root: string): Project {
  const document = readYaml(join(root, PROJECT_FILE));
  const canisters = list(document["canisters"], "canisters").flatMap((entry, index) =>
    expand(entry, root, index),
  );
  const names = new Set<string>();
  for (const { name } of canisters) {
    if (names.has(name)) throw projectError(`two canisters have the name ${name}`);
    names.add(name);
  }
  return { root, canisters, networks: list(document["networks"], "networks").map(networkOf) };
}

/** Those of the names given, or all of them. */
export function chooseCanisters(project: Project, names: readonly string[]): readonly CanisterSpec[] {
  if (names.length === 0) return project.canisters;
  return names.map((name) => {
    const found = project.canisters.find((canister) => canister.name === name);
    if (found !== undefined) return found;
    const known = project.canisters.map((each) => each.name).join(", ");
    throw new OrreryError(
      "project_canister_unknown",
      `the project has no canister ${name}; it has ${known || "none"}`,
    );
  });
}
