/** `orrery new`: a project to begin with: a backend canister, a page made with Vite that calls it, and the scripts that run both. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { OrreryError } from "@orrery/base";
import { type Io, jsonDocument } from "../io.ts";
import { VERSION } from "../version.ts";

export interface NewOptions {
  readonly template: "motoko" | "typescript";
  readonly json?: true;
}

const TEMPLATES = fileURLToPath(new URL("../../templates", import.meta.url));
const REPOSITORY: string = resolve(import.meta.dirname, "../../../..");
/** Run from the sources, a project gets the package that they make; installed, the version that is installed. */
const FROM_SOURCES: boolean = import.meta.filename.endsWith(".ts");
const TARBALL: string = join(REPOSITORY, "dist", `ic-orrery-${VERSION}.tgz`);
/** Names of packages on npm, which the project's becomes. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;

/** Files of a template, relative to its folder. */
function filesOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

function refuse(code: string, text: string): never {
  throw new OrreryError(code, text);
}

export function newProject(path: string, options: NewOptions, io: Io): number {
  const directory = resolve(io.cwd, path);
  const name = basename(directory);
  if (!NAME.test(name)) {
    refuse(
      "project_name_invalid",
      `"${name}" cannot be the name of a project; use lower-case letters, digits, dots, dashes and underscores`,
    );
  }
  if (existsSync(directory) && readdirSync(directory).length > 0) {
    refuse("project_exists", `${directory} is not empty; choose another name, or empty it`);
  }
  const written: string[] = [];
  for (const part of ["common", options.template]) {
    for (const file of filesOf(join(TEMPLATES, part))) {
      // Packing leaves out files that begin with a dot.
      const target = join(directory, file.replace(/^_/, "."));
      mkdirSync(dirname(target), { recursive: true });
      const content = readFileSync(join(TEMPLATES, part, file), "utf8");
      writeFileSync(
        target,
        content
          .replaceAll("__NAME__", name)
          .replaceAll("__ORRERY__", FROM_SOURCES ? `file:${TARBALL.replaceAll("\\", "/")}` : VERSION),
      );
      written.push(relative(directory, target));
    }
  }
  if (options.json === true) {
    io.out(jsonDocument({ directory, files: written.sort() }));
    return 0;
  }
  const steps = [
    ...(FROM_SOURCES && !existsSync(TARBALL) ? [`(cd ${REPOSITORY} && npm run pack)`] : []),
    `cd ${relative(io.cwd, directory) || "."}`,
    "npm install",
    "npm start",
    "npm run deploy",
    "npm run frontend",
  ];
  io.out(
    `${io.style("green", `${name} is there.`, "out")} Next:\n\n${steps.map((step) => `  ${step}\n`).join("")}`,
  );
  return 0;
}
