/** This repository's program under another version, in a folder of its own: what an operator installs beside the one that runs. */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
/** What runs a node. */
const PARTS: readonly string[] = ["apps", "packages", "canisters"];

/** What it stands on is not copied; links into the repository lead into the copy. */
function linkModules(target: string, scope: string): void {
  mkdirSync(join(target, scope), { recursive: true });
  for (const entry of readdirSync(join(REPOSITORY, scope), { withFileTypes: true })) {
    const name = join(scope, entry.name);
    if (entry.name === "@orrery") linkModules(target, name);
    else
      symlinkSync(
        entry.isSymbolicLink() ? readlinkSync(join(REPOSITORY, name)) : join(REPOSITORY, name),
        join(target, name),
      );
  }
}

/** Its command's main module. */
export function copyWithVersion(target: string, version: string): string {
  for (const part of PARTS) {
    const isSource = (path: string): boolean =>
      !/\/(node_modules|dist)(\/|$)/.test(path.slice(REPOSITORY.length));
    cpSync(join(REPOSITORY, part), join(target, part), { recursive: true, filter: isSource });
  }
  linkModules(target, "node_modules");
  const manifest = join(target, "apps/node/package.json");
  const fields = JSON.parse(readFileSync(manifest, "utf8")) as Record<string, unknown>;
  writeFileSync(manifest, `${JSON.stringify({ ...fields, version }, null, 2)}\n`);
  return join(target, "apps/cli/src/main.ts");
}
