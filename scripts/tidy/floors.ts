/**
 * The floors (docs/ARCHITECTURE.md): a package imports only from strictly lower floors, by its name, and the pure floors depend
 * on nothing but the third-party packages listed here. `package.json` is the rule: an import of an undeclared package is
 * already a lint error, so it suffices to check the manifests and the form of the imports.
 */
import type { Repository } from "../repository.ts";
import type { Problem, Rule } from "./rule.ts";
import { isTest, sourcesOf } from "./source.ts";

/** Floor of each folder. Folders at `TOP` import anything and are imported by nobody. */
const TOP = 8;
const FLOORS: Readonly<Record<string, number>> = {
  "packages/base": 0,
  "packages/crypto": 1,
  "packages/wasm": 1,
  "packages/state": 2,
  "packages/execution": 3,
  "packages/consensus": 3,
  "packages/p2p": 3,
  "packages/http": 4,
  "packages/sim": 4,
  "packages/host": 5,
  canisters: 5,
  "packages/orrery": 6,
  "apps/node": 6,
  "apps/pocketic": 6,
  "apps/dashboard": 6,
  "apps/cli": 7,
  conformance: TOP,
  bench: TOP,
};

/** Below this floor there is no `node:` import, no timer, no wall clock, no ambient randomness. */
export const HOST_FLOOR = 5;

/** Third-party packages that the pure floors may depend on: small, pure, pinned, without dependencies that do input or output. */
const PURE_DEPENDENCIES: Readonly<Record<string, { readonly in: readonly string[]; readonly why: string }>> =
  {
    "@noble/hashes": { in: ["base", "crypto"], why: "SHA-2, SHA-3, HMAC and HKDF; audited" },
    "@noble/curves": {
      in: ["crypto"],
      why: "Ed25519, P-256, secp256k1 and BLS12-381, the oracle of faster back ends",
    },
    cborg: { in: ["base", "crypto", "http"], why: "CBOR with strict decoding; base wraps it with bounds" },
    "mcl-wasm": {
      in: ["crypto"],
      why: "BLS12-381 in Wasm behind the back-end interface, ten times the pure one",
    },
    "@icp-sdk/core": {
      in: ["execution"],
      why: "Candid encoding of the management canister; no network code is reached",
    },
  };

/** Folder of the package that a path belongs to, if any. */
export function packageOf(path: string): string | undefined {
  const parts = path.split("/");
  const nested = parts.slice(0, 2).join("/");
  if (nested in FLOORS && parts.length > 2) return nested;
  return parts.length > 1 && (parts[0] as string) in FLOORS ? (parts[0] as string) : undefined;
}

export function floorOf(path: string): number | undefined {
  const folder = packageOf(path);
  return folder === undefined ? undefined : FLOORS[folder];
}

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

interface Workspace {
  readonly folder: string;
  readonly manifest: Manifest;
}

const KINDS = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"] as const;
const EXACT = /^(npm:(@[^@]+|[^@]+)@)?\d+\.\d+\.\d+(-[\w.]+)?$/;

function workspacesOf(repository: Repository): Workspace[] {
  return repository.paths
    .filter((path) => /^(packages\/[^/]+|apps\/[^/]+|canisters|conformance|bench)\/package\.json$/.test(path))
    .map((path) => ({
      folder: path.slice(0, -"/package.json".length),
      manifest: JSON.parse(repository.text(path) ?? "{}") as Manifest,
    }));
}

export const floors: Rule = {
  name: "floors",
  check(repository: Repository): Problem[] {
    const workspaces = workspacesOf(repository);
    const folderByName = new Map(workspaces.map(({ folder, manifest }) => [manifest.name, folder]));
    const version = (JSON.parse(repository.text("package.json") ?? "{}") as Manifest).version;
    return workspaces.flatMap((workspace) => checkManifest(workspace, folderByName, version));
  },
};

function checkManifest(
  { folder, manifest }: Workspace,
  folderByName: ReadonlyMap<string | undefined, string>,
  version: string | undefined,
): Problem[] {
  const path = `${folder}/package.json`;
  const floor = FLOORS[folder];
  if (floor === undefined)
    return [{ path, message: "has no floor: add it to the table in scripts/tidy/floors.ts" }];
  const problems: Problem[] = [];
  if (version !== undefined && manifest.version !== version) {
    problems.push({
      path,
      message: `version ${manifest.version}: all packages carry the root's, ${version}`,
    });
  }
  for (const kind of KINDS) {
    for (const [name, range] of Object.entries(manifest[kind] ?? {})) {
      const target = folderByName.get(name);
      if (!EXACT.test(range)) {
        problems.push({ path, message: `${kind} ${name} is "${range}": pin one exact version` });
      }
      if (target !== undefined && (FLOORS[target] ?? TOP) >= floor) {
        problems.push({
          path,
          message: `floor ${floor} depends on ${name} of floor ${FLOORS[target] ?? TOP}: only strictly lower floors`,
        });
      }
      if (target === undefined && floor < HOST_FLOOR && kind !== "devDependencies") {
        const allowed = PURE_DEPENDENCIES[name];
        if (allowed === undefined || !allowed.in.includes(folder.slice("packages/".length))) {
          problems.push({ path, message: `${name} is not on the list of dependencies allowed to ${folder}` });
        }
      }
    }
  }
  return problems;
}

/** Imports name packages by what they export, and never reach into another package by path. */
export const importForm: Rule = {
  name: "import-form",
  check(repository: Repository): Problem[] {
    const exportsByName = new Map(
      workspacesOf(repository).map(({ manifest }) => [
        manifest.name ?? "",
        Object.keys(manifest.exports ?? {}),
      ]),
    );
    const problems: Problem[] = [];
    for (const source of sourcesOf(repository)) {
      const folder = packageOf(source.path);
      for (const { specifier, line } of source.imports) {
        if (specifier.startsWith(".")) {
          const target = resolve(source.path, specifier);
          if (folder !== undefined && !target.startsWith(`${folder}/`)) {
            problems.push({
              path: source.path,
              line,
              message: `"${specifier}" leaves the package: import by package name`,
            });
          }
          if (!/\.(ts|json)$/.test(specifier)) {
            problems.push({ path: source.path, line, message: `"${specifier}" must end in .ts` });
          }
          continue;
        }
        const [, name, subpath] = /^(@orrery\/[^/]+|ic-orrery)(\/.*)?$/.exec(specifier) ?? [];
        if (
          name !== undefined &&
          subpath !== undefined &&
          exportsByName.get(name)?.includes(`.${subpath}`) !== true
        ) {
          problems.push({
            path: source.path,
            line,
            message: `"${specifier}" reaches inside ${name}: it exports no such entry`,
          });
        }
        if (
          name !== undefined &&
          folder === undefined &&
          source.path.startsWith("scripts/") &&
          !isTest(source.path)
        ) {
          problems.push({
            path: source.path,
            line,
            message: `scripts stand alone: "${specifier}" must not be needed to run one`,
          });
        }
      }
    }
    return problems;
  },
};

/** `./b.ts` seen from `x/a.ts` is `x/b.ts`. */
export function resolve(from: string, relative: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of relative.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}
