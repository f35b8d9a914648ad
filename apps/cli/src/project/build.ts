/**
 * Builds canisters of a project. The module lands where `icp` keeps it, `.icp/cache/artifacts/<canister>`, its interface beside it in
 * `.icp/cache/declarations/<canister>.did`.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import type { Io } from "../io.ts";
import { renderDiagnostic } from "./diagnostics.ts";
import type { BuildPlan, BuildStep, CanisterSpec, Project } from "./manifest.ts";
import { customSections } from "./module.ts";
import { createMotokoCompiler, type MotokoCompiler } from "./motoko.ts";
import type { CompileReply } from "./motoko-worker.ts";

export interface Built {
  readonly canister: CanisterSpec;
  /** The module's path. */
  readonly path: string;
  readonly wasm: Uint8Array;
  /** The interface, when the build tells it. */
  readonly candid: string | null;
}

export interface Builder {
  build(canister: CanisterSpec): Promise<Built>;
  end(): Promise<void>;
}

function buildFailed(name: string, text: string): OrreryError {
  return new OrreryError("build_failed", `canister ${name}: ${text}`, { data: { canister: name } });
}

function write(path: string, content: Uint8Array | string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** Runs a command line of the project in the system's shell; what it writes goes to standard error. */
export async function runCommand(options: {
  readonly command: string;
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  readonly io: Io;
}): Promise<number | null> {
  const { command, directory, env, io } = options;
  const child = spawn(command, {
    cwd: directory,
    env: { ...process.env, ...env },
    shell: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", io.err);
  return await new Promise((done) => {
    child.once("error", (error) => {
      io.err(`${error.message}\n`);
      done(null);
    });
    child.once("close", (code) => done(code));
  });
}

async function runStep(canister: CanisterSpec, step: BuildStep, output: string, io: Io): Promise<void> {
  if (step.kind === "pre-built") {
    const path = resolve(canister.directory, step.path);
    if (!existsSync(path)) throw buildFailed(canister.name, `there is no module at ${path}`);
    const bytes = readFileSync(path);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    if (step.sha256 !== null && step.sha256 !== sha256) {
      throw buildFailed(canister.name, `${path} has the hash ${sha256}, ${step.sha256} is expected`);
    }
    write(output, bytes);
    return;
  }
  for (const command of step.commands) {
    const code = await runCommand({
      command,
      directory: canister.directory,
      env: { ICP_WASM_OUTPUT_PATH: output, ICP_CLI_ENVIRONMENT: "local" },
      io,
    });
    if (code !== 0)
      throw buildFailed(canister.name, `"${command}" ended with ${code ?? "a failure to start"}`);
  }
}

/** What its last line says of a compilation that failed. */
function summary({ diagnostics, message }: CompileReply & { ok: false }, main: string): string {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return message;
  const sources = new Set(errors.map(({ source }) => source));
  const where = sources.size === 1 ? [...sources].join() : main;
  return `${where} has ${errors.length} error${errors.length === 1 ? "" : "s"}${message}`;
}

/** The interface that a module carries, or null. */
function interfaceOf(wasm: Uint8Array): string | null {
  const sections = customSections(wasm);
  const text = sections.get("icp:public candid:service") ?? sections.get("icp:private candid:service");
  return text === undefined ? null : new TextDecoder().decode(text);
}

/** `watches`: it builds one save after the other. */
export function createBuilder(
  project: Project,
  { watches, io }: { readonly watches: boolean; readonly io: Io },
): Builder {
  const { root } = project;
  const startCompiler = (): MotokoCompiler => createMotokoCompiler(root, { keepsWarm: watches });
  let compiler: MotokoCompiler | null = null;
  // The compiler loads while the rest is read.
  if (project.canisters.some(({ plan }) => plan.kind === "motoko")) compiler = startCompiler();

  async function motoko(
    canister: CanisterSpec,
    plan: Extract<BuildPlan, { kind: "motoko" }>,
    output: string,
  ): Promise<string> {
    compiler ??= startCompiler();
    const main = join(canister.directory, plan.main);
    if (!existsSync(main)) throw buildFailed(canister.name, `there is no source at ${main}`);
    const reply = await compiler.compile(canister, plan);
    for (const diagnostic of reply.diagnostics) io.err(renderDiagnostic(diagnostic, root, io.style));
    if (!reply.ok) throw buildFailed(canister.name, summary(reply, plan.main));
    write(output, reply.wasm);
    return plan.candid === null
      ? reply.candid
      : readFileSync(resolve(canister.directory, plan.candid), "utf8");
  }

  return {
    async build(canister) {
      const { name, plan } = canister;
      const path = join(root, ".icp", "cache", "artifacts", name);
      let candid: string | null = null;
      if (plan.kind === "motoko") candid = await motoko(canister, plan, path);
      else {
        mkdirSync(dirname(path), { recursive: true });
        rmSync(path, { force: true });
        for (const step of plan.steps) await runStep(canister, step, path, io);
        if (!existsSync(path)) {
          throw buildFailed(name, "no step wrote a module to the path in ICP_WASM_OUTPUT_PATH");
        }
        candid = interfaceOf(readFileSync(path));
      }
      if (candid !== null) write(join(root, ".icp", "cache", "declarations", `${name}.did`), candid);
      return { canister, path, wasm: readFileSync(path), candid };
    },
    end: async () => await compiler?.end(),
  };
}
