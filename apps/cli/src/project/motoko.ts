/**
 * Compiles Motoko with the compiler that comes from npm: the project's own `motoko` package, or the one beside this installation. Its thread is
 * loaded ahead and kept between compilations, since a warm compiler answers a save several times as fast.
 */
import { createRequire } from "node:module";
import { join, relative, sep } from "node:path";
import { Worker } from "node:worker_threads";
import { OrreryError } from "@orrery/base";
import { type BuildPlan, type CanisterSpec, projectError } from "./manifest.ts";
import { type MotokoPackages, motokoPackages } from "./motoko-packages.ts";
import type {
  CompileReply,
  CompileRequest,
  CompilerPaths,
  CompilerStart,
  Diagnostic,
} from "./motoko-worker.ts";

/** The compiler recurses deeply on long functions; the usual four megabytes are not enough. */
const COMPILER_STACK_MIB = 64;
/** A warm compiler counts on in the names that it makes; after so many compilations a fresh one takes over. */
const COMPILATIONS_MAX = 1_000;
/** Flags that choose how an actor's memory is laid out; the compiler takes them by other means. */
const LEGACY = "--legacy-persistence";
const ENHANCED = "--enhanced-orthogonal-persistence";

function findCompiler(root: string): CompilerPaths {
  for (const from of [join(root, "package.json"), import.meta.url]) {
    try {
      const require = createRequire(from);
      return { motoko: require.resolve("motoko"), core: require.resolve("motoko/packages/latest/core.json") };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  throw new OrreryError(
    "compiler_missing",
    `the Motoko compiler is not installed in ${root}; add it with "npm install --save-dev motoko"`,
  );
}

type MotokoPlan = Extract<BuildPlan, { kind: "motoko" }>;

export interface MotokoCompiler {
  compile(canister: CanisterSpec, plan: MotokoPlan): Promise<CompileReply>;
  end(): Promise<void>;
}

/** `keepsWarm`: it is there for one save after the other. */
export function createMotokoCompiler(
  root: string,
  { keepsWarm }: { readonly keepsWarm: boolean },
): MotokoCompiler {
  const workerData: CompilerStart = { ...findCompiler(root), keepsWarm };
  let worker: Worker | null = null;
  /** Of the compilation under way. */
  let waiting: PromiseWithResolvers<CompileReply> | null = null;
  let compilations = 0;
  /** Packages that it knows; it forgets none. */
  let known = new Set<string>();
  let turn: Promise<unknown> = Promise.resolve();

  function start(): Worker {
    compilations = 0;
    known = new Set();
    const started = new Worker(new URL("./motoko-worker.ts", import.meta.url), {
      workerData,
      resourceLimits: { stackSizeMb: COMPILER_STACK_MIB },
    });
    const failed = (error: unknown): void => {
      if (worker !== started) return;
      worker = null;
      waiting?.reject(error);
    };
    started.on("message", (reply: CompileReply) => waiting?.resolve(reply));
    started.on("error", failed);
    started.on("exit", (code) => failed(new Error(`the Motoko compiler ended with code ${code}`)));
    return started;
  }

  async function ask(request: CompileRequest): Promise<CompileReply> {
    const names = new Set(request.packages.map(([name]) => name));
    if (compilations >= COMPILATIONS_MAX || !known.isSubsetOf(names)) {
      const old = worker;
      worker = null;
      await old?.terminate();
    }
    worker ??= start();
    compilations++;
    known = names;
    waiting = Promise.withResolvers();
    worker.postMessage(request);
    return await waiting.promise;
  }

  worker = start();
  return {
    async compile(canister, plan) {
      const packages = motokoPackages(root);
      const request = requestOf(root, canister, plan, packages);
      const asked = turn.then(() => ask(request));
      turn = asked.catch(() => {});
      const reply = await asked;
      if (reply.ok || packages.missing.size === 0) return reply;
      return { ...reply, message: `${reply.message}${remedies(reply.diagnostics, packages.missing)}` };
    },
    async end() {
      await worker?.terminate();
      worker = null;
    },
  };
}

/** What is to be said of packages that sources import in vain. */
function remedies(diagnostics: readonly Diagnostic[], missing: ReadonlyMap<string, string>): string {
  const told = diagnostics.map(({ message }) => /package "(.*)" not defined/.exec(message)?.[1] ?? "");
  return [...missing].flatMap(([name, remedy]) => (told.includes(name) ? [`; ${remedy}`] : [])).join("");
}

function requestOf(
  root: string,
  canister: CanisterSpec,
  plan: MotokoPlan,
  packages: MotokoPackages,
): CompileRequest {
  const main = relative(root, join(canister.directory, plan.main));
  if (main.startsWith(".."))
    throw projectError(`canister ${canister.name}: ${plan.main} is outside of the project`);
  const flags = plan.args.split(/\s+/).filter((flag) => flag !== "");
  return {
    root,
    main: main.split(sep).join("/"),
    packages: [...packages.found],
    flags: flags.filter((flag) => flag !== LEGACY && flag !== ENHANCED),
    enhanced: !flags.includes(LEGACY),
  };
}
