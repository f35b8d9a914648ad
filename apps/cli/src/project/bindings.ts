/** Typed bindings for a canister's clients, made by the project's own `@icp-sdk/bindgen`; a project without it gets none. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Built } from "./build.ts";
import { type Project, projectError } from "./manifest.ts";

/** Below the project, unless told otherwise. */
export const BINDINGS_DIRECTORY = "src/bindings";

interface Bindgen {
  generate(options: {
    readonly didFile: string;
    readonly outDir: string;
    readonly output: { readonly force: true };
  }): Promise<void>;
}

interface Manifest {
  readonly exports?: Readonly<Record<string, { readonly import?: unknown }>>;
}

/** Its modules, not its CommonJS twin, which does not find its own files. */
async function loadBindgen(root: string): Promise<Bindgen | null> {
  const folder = join(root, "node_modules", "@icp-sdk", "bindgen");
  if (!existsSync(folder)) return null;
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
  const entry = exports?.["./core"]?.import;
  if (typeof entry !== "string") {
    throw projectError(
      "the project's @icp-sdk/bindgen is of another make than is known here; use version 0.3 or --no-bindings",
    );
  }
  return (await import(pathToFileURL(join(folder, entry)).href)) as Bindgen;
}

/**
 * Writes `<directory>/<canister>.ts` and its declarations for each canister whose interface is known. `bound`: interfaces that have theirs already,
 * by canister; what is written is added.
 */
export async function writeBindings(
  project: Project,
  built: readonly Built[],
  directory: string,
  bound: Map<string, string>,
): Promise<void> {
  const described = built.filter(
    ({ canister, candid }) => candid !== null && candid !== bound.get(canister.name),
  );
  if (described.length === 0) return;
  const bindgen = await loadBindgen(project.root);
  for (const { canister, candid } of bindgen === null ? [] : described) {
    bound.set(canister.name, candid as string);
    await bindgen?.generate({
      didFile: join(project.root, ".icp", "cache", "declarations", `${canister.name}.did`),
      outDir: join(project.root, directory),
      output: { force: true },
    });
  }
}
