/** `orrery build` and `orrery deploy`: from a project's sources to canisters that answer. */
import { join, relative } from "node:path";
import { OrreryError } from "@orrery/base";
import { describeFailure } from "../failure.ts";
import { type Io, jsonDocument, table } from "../io.ts";
import { resolveStateDir } from "../state-files.ts";
import { BINDINGS_DIRECTORY, writeBindings } from "./bindings.ts";
import { type Builder, type Built, createBuilder } from "./build.ts";
import { createDeployment, type Deployed, type Deployment } from "./deploy.ts";
import { canisterIds } from "./ids.ts";
import { type CanisterSpec, chooseCanisters, findProject, type Project, readProject } from "./manifest.ts";
import { motokoPackages } from "./motoko-packages.ts";
import { withProgress } from "./progress.ts";
import { findTarget, type Target } from "./target.ts";
import { watchProject } from "./watch.ts";

export interface BuildOptions {
  readonly bindings?: string | false;
  readonly json?: true;
}

export interface DeployOptions extends BuildOptions {
  readonly stateDir: string;
  readonly url?: string;
  readonly mode: "auto" | "reinstall";
  readonly watch?: true;
}

function openProject(
  io: Io,
  names: readonly string[],
): {
  readonly project: Project;
  readonly canisters: readonly CanisterSpec[];
} {
  const project = readProject(findProject(io.cwd));
  const canisters = chooseCanisters(project, names);
  if (canisters.length === 0) {
    throw new OrreryError("project_invalid", "the project has no canisters; list them in icp.yaml");
  }
  return { project, canisters };
}

async function buildAll(options: {
  readonly project: Project;
  readonly canisters: readonly CanisterSpec[];
  readonly builder: Builder;
  readonly bindings: string | false | undefined;
  /** Interfaces that have bindings already. */
  readonly bound: Map<string, string>;
  readonly io: Io;
}): Promise<readonly Built[]> {
  const { project, canisters, builder, bindings, bound, io } = options;
  const built: Built[] = [];
  for (const canister of canisters) {
    built.push(await withProgress(io, `Building ${canister.name}`, () => builder.build(canister)));
  }
  if (bindings !== false) await writeBindings(project, built, bindings ?? BINDINGS_DIRECTORY, bound);
  return built;
}

export async function build(names: readonly string[], options: BuildOptions, io: Io): Promise<number> {
  const { project, canisters } = openProject(io, names);
  const builder = createBuilder(project, { watches: false, io });
  try {
    const bound = new Map<string, string>();
    const built = await buildAll({ project, canisters, builder, bindings: options.bindings, bound, io });
    if (options.json === true) {
      io.out(
        jsonDocument({
          canisters: built.map(({ canister, path, wasm }) => ({
            name: canister.name,
            wasm: path,
            bytes: wasm.length,
          })),
        }),
      );
      return 0;
    }
    const rows = built.map(({ canister, path, wasm }) => [
      canister.name,
      `${(wasm.length / 1024).toFixed(0)} KiB`,
      relative(io.cwd, path),
    ]);
    io.out(table(rows));
    return 0;
  } finally {
    await builder.end();
  }
}

function tell(deployed: readonly Deployed[], { url }: Target, json: boolean, io: Io): void {
  if (json) {
    io.out(jsonDocument({ url, canisters: deployed }));
    return;
  }
  const port = new URL(url).port;
  const rows = deployed.map(({ name, id, outcome }) => [
    name,
    io.style(outcome === "unchanged" ? "dim" : "green", outcome.padEnd(11), "out"),
    id,
    `http://${id}.localhost:${port}/`,
  ]);
  io.out(table(rows));
}

interface Session {
  readonly project: Project;
  readonly canisters: readonly CanisterSpec[];
  readonly builder: Builder;
  readonly target: Target;
  readonly deployment: Deployment;
  readonly bound: Map<string, string>;
}

async function deployOnce(session: Session, options: DeployOptions, io: Io): Promise<void> {
  session.deployment.foresee(session.canisters);
  const built = await buildAll({ ...session, bindings: options.bindings, io });
  const deployed = await withProgress(io, "Deploying", () => session.deployment.deploy(built, options.mode));
  tell(deployed, session.target, options.json === true, io);
}

export async function deploy(names: readonly string[], options: DeployOptions, io: Io): Promise<number> {
  const { project, canisters } = openProject(io, names);
  const builder = createBuilder(project, { watches: options.watch === true, io });
  try {
    const stateDir = resolveStateDir(io.cwd, options.stateDir);
    const target = await findTarget({ project, stateDir, url: options.url });
    const deployment = createDeployment({ project, target, ids: canisterIds(project), io });
    const session = { project, canisters, builder, target, deployment, bound: new Map<string, string>() };
    if (options.watch !== true) {
      await deployOnce(session, options, io);
      return 0;
    }
    await watch(session, options, io);
    return 0;
  } finally {
    await builder.end();
  }
}

function localPackages(root: string): readonly string[] {
  try {
    return motokoPackages(root).local;
  } catch (error) {
    // The build says what is wrong with the file that names them.
    if (error instanceof OrreryError) return [];
    throw error;
  }
}

/** Deploys now and after each save, until a signal comes. A save that does not compile or is refused waits for the next. */
async function watch(session: Session, options: DeployOptions, io: Io): Promise<void> {
  const { root } = session.project;
  const bindings = options.bindings === false ? [] : [join(root, options.bindings ?? BINDINGS_DIRECTORY)];
  await watchProject({
    root,
    elsewhere: () => localPackages(root),
    ignore: bindings,
    watching: () => io.err(io.style("dim", "Watching for changes; Ctrl-C ends.\n")),
    async changed() {
      const startedMs = performance.now();
      try {
        await deployOnce(session, options, io);
        const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
        io.err(io.style("dim", `Live after ${seconds} s.\n`));
      } catch (error) {
        const failure = describeFailure(error);
        io.err(`${io.style("red", "error:")} ${failure.message}\n`);
        if (failure.detail !== null) io.err(`${io.style("dim", failure.detail)}\n`);
      }
    },
  });
}
