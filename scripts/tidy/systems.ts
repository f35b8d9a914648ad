/**
 * What runs on Linux, macOS and Windows alike: names of files that every system takes, line endings that git keeps, and no shell, folder,
 * signal or file mode that only some systems have. Code for one system says so by asking for `process.platform` in the same file; the
 * few files that are for POSIX systems by their nature are listed with the reason.
 */
import type { Repository } from "../repository.ts";
import type { Problem, Rule } from "./rule.ts";
import { isFixture, isTest, type Node, parseSource, type Source, walk } from "./source.ts";

/** Scripts of a POSIX shell, which nothing needs to run, install or test the project on Windows. */
const SHELL_SCRIPTS: Readonly<Record<string, string>> = {
  "bin/icp-cli-network-launcher": "drop-in, for a work tree; the package has its own in JavaScript",
  "bin/pocket-ic": "drop-in, for a work tree; the package has its own in JavaScript",
  "bin/orrery": "convenience of a work tree; npm run orrery does the same",
  "bin/pinned-node": "what those three run",
  ".ci/run": "continuous integration runs on Linux",
  "canisters/fixtures/assemblyscript/build.sh": "record of how a committed module was built",
  "canisters/fixtures/azle/build.sh": "record of how a committed module was built",
  "canisters/fixtures/c/build.sh": "record of how a committed module was built",
};

/** Folders of one system, read where they are and done without elsewhere. */
const SYSTEM_PATHS: Readonly<Record<string, string>> = {
  "packages/host/src/directory-lock.ts": "/proc tells when a process began; without it its number has to do",
  "conformance/src/browser.ts": "where Linux keeps Chromium; without it tests are skipped by name",
  "conformance/src/durability/disk-full.ts": "mounts a small disk, which only Linux lets users do",
  "conformance/src/durability/disk-full.test.ts": "mounts a small disk, which only Linux lets users do",
};

/** Where a test's folder has to be one that the system refuses. */
const REFUSED_FOLDER = /^\/proc\//;

/** The one place where a project's own command lines go to the system's shell. */
const USERS_COMMANDS = "apps/cli/src/project/build.ts";

const SHELLS: ReadonlySet<string> = new Set([
  "sh",
  "bash",
  "zsh",
  "dash",
  "/bin/sh",
  "/bin/bash",
  "/usr/bin/env",
]);
const SPAWNING: ReadonlySet<string> = new Set(["spawn", "spawnSync", "execFile", "execFileSync"]);
const BY_SHELL: ReadonlySet<string> = new Set(["exec", "execSync"]);
const MODES: ReadonlySet<string> = new Set(["chmod", "chmodSync", "fchmod", "fchmodSync", "umask"]);
const USERS: ReadonlySet<string> = new Set(["getuid", "geteuid", "getgid", "getegid"]);
const SYSTEM_FOLDER = /^(\/(tmp|var|dev|proc|sys|usr|bin|etc|home|opt)(\/|$)|[A-Za-z]:\\)/;

/** What Windows refuses in a name, or reads as a device. */
const REFUSED_CHARACTERS = /[<>:"|?*\\]/;
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;
/** Below what Windows allows by default, with room for the folder that the work tree is in. */
const PATH_LETTERS_MAX = 160;
/** Words of POSIX shells in npm's scripts, which run in cmd.exe on Windows. */
const SHELL_WORDS =
  /(^|&&\s*|\|\s*)(rm|cp|mv|cat|export|mkdir|touch|sh|bash|chmod|[A-Z_]+=)\b|\$[A-Z{(]|'|;|\.\/|\s&$/;

export const systems: Rule = {
  name: "systems",
  check(repository: Repository): Problem[] {
    return [
      ...names(repository),
      ...lineEndings(repository),
      ...scripts(repository),
      ...codeOf(repository).flatMap(code),
    ];
  },
};

function names({ paths }: Repository): Problem[] {
  const problems: Problem[] = [];
  const seen = new Map<string, string>();
  for (const path of paths) {
    const report = (message: string): void => void problems.push({ path, message });
    if (path.length > PATH_LETTERS_MAX)
      report(`its path has ${path.length} letters, at most ${PATH_LETTERS_MAX}`);
    for (const part of path.split("/")) {
      if (REFUSED_CHARACTERS.test(part) || [...part].some((letter) => letter < " "))
        report(`Windows refuses the name ${JSON.stringify(part)}`);
      if (/[. ]$/.test(part)) report(`Windows drops the end of the name ${JSON.stringify(part)}`);
      if (DEVICE.test(part)) report(`${part} is a device on Windows`);
    }
    // Folders, too: `A/x` and `a/y` are one folder on most systems.
    const parts = path.split("/");
    for (let length = 1; length <= parts.length; length++) {
      const name = parts.slice(0, length).join("/");
      const folded = name.toLowerCase().normalize("NFC");
      const other = seen.get(folded);
      if (other === undefined) seen.set(folded, name);
      else if (other !== name) report(`${name} and ${other} differ by case only: one file on most systems`);
    }
  }
  return problems;
}

function lineEndings(repository: Repository): Problem[] {
  const problems: Problem[] = [];
  if (!/^\*\s+text=auto\s+eol=lf$/m.test(repository.text(".gitattributes") ?? ""))
    problems.push({
      path: ".gitattributes",
      message: "does not say `* text=auto eol=lf`: git on Windows changes line endings",
    });
  for (const path of repository.paths) {
    const at = isFixture(path) ? -1 : (repository.text(path)?.indexOf("\r\n") ?? -1);
    if (at >= 0) problems.push({ path, message: "has lines that end in CR LF" });
  }
  return problems;
}

function scripts(repository: Repository): Problem[] {
  const problems: Problem[] = [];
  for (const path of repository.paths) {
    const text = repository.text(path);
    if (text === undefined) continue;
    if (/^#!.*\b(sh|bash|zsh|dash)\b/.test(text) && !(path in SHELL_SCRIPTS))
      problems.push({ path, line: 1, message: "is a script of a POSIX shell: write it for Node.js" });
    if (!/(^|\/)package\.json$/.test(path)) continue;
    const { scripts: commands = {} } = JSON.parse(text) as {
      readonly scripts?: Readonly<Record<string, string>>;
    };
    for (const [name, command] of Object.entries(commands)) {
      if (SHELL_WORDS.test(command))
        problems.push({ path, message: `its script ${name} needs a POSIX shell: ${command}` });
    }
  }
  return problems;
}

/** Everything that runs, the templates and examples included; not what runs in a page or was built elsewhere. */
function codeOf(repository: Repository): readonly Source[] {
  return repository.paths
    .filter((path) => /\.(ts|mts|js|mjs|cjs)$/.test(path) && !path.endsWith(".d.ts") && !isFixture(path))
    .flatMap((path) => {
      const text = repository.text(path);
      return text === undefined ? [] : [parseSource(path, text)];
    });
}

function code(source: Source): Problem[] {
  const { path, text, program } = source;
  const problems: Problem[] = [];
  const report = (node: Node, message: string): void =>
    void problems.push({ path, line: source.lineOf(node.start), message });
  const branches = text.includes("process.platform") || path in SYSTEM_PATHS;
  walk(program, (node) => {
    if (node.type === "Literal" && typeof node["value"] === "string") folder(node, node["value"]);
    if (node.type === "TemplateElement")
      folder(node, (node["value"] as { readonly cooked?: string }).cooked ?? "");
    if (node.type === "CallExpression") call(node);
    if (
      node.type === "MemberExpression" &&
      nameOf(node["property"]) === "pathname" &&
      isFileUrl(node["object"] as Node)
    )
      report(node, "pathname of a file's URL is no path on Windows: use fileURLToPath");
    if (
      node.type === "BinaryExpression" &&
      node["operator"] === "&" &&
      nameOf((node["left"] as Node)["property"]) === "mode" &&
      !branches
    )
      report(node, "file modes mean nothing on Windows: ask for process.platform");
  });

  function folder(node: Node, value: string): void {
    if (!SYSTEM_FOLDER.test(value) || branches) return;
    if (isTest(path) && REFUSED_FOLDER.test(value)) return;
    report(node, `${value} is not on every system: ask node:os, or for process.platform`);
  }

  function call(node: Node): void {
    const callee = node["callee"] as Node;
    const name = nameOf(callee) ?? nameOf(callee["property"]) ?? "";
    const [first, second] = node["arguments"] as readonly (Node | undefined)[];
    const literal = typeof first?.["value"] === "string" ? first["value"] : null;
    const options = (node["arguments"] as readonly Node[]).filter(({ type }) => type === "ObjectExpression");
    if (SPAWNING.has(name)) {
      if (literal !== null && SHELLS.has(literal) && !branches)
        report(node, `${literal} is not on every system: run Node.js`);
      if (options.some(hasShell) && path !== USERS_COMMANDS)
        report(node, "a shell's words differ between systems: pass the arguments as a list");
    }
    if (BY_SHELL.has(name) && callee.type === "Identifier")
      report(node, "a shell's words differ between systems: use execFile");
    if (name === "kill" && typeof second?.["value"] === "string" && isShipped(path) && !branches)
      report(node, "Windows knows no signals, and ends the process at once: ask for process.platform");
    if (MODES.has(name) && !branches && !isTest(path))
      report(node, "file modes mean nothing on Windows: ask for process.platform");
    if (USERS.has(name) && callee["optional"] !== true && node["optional"] !== true && !branches)
      report(node, `there is no ${name} on Windows: call it with ?.`);
  }
  return problems;
}

/** What users run; tests and benchmarks end their own processes as they like. */
function isShipped(path: string): boolean {
  return /^(packages|apps|canisters)\//.test(path) && !isTest(path);
}

function nameOf(node: unknown): string | undefined {
  const name = (node as { readonly type?: string; readonly name?: unknown } | null | undefined)?.name;
  return typeof name === "string" ? name : undefined;
}

function isFileUrl(node: Node): boolean {
  if (node.type !== "NewExpression" || nameOf(node["callee"]) !== "URL") return false;
  return (node["arguments"] as readonly Node[]).some(
    (argument) =>
      argument.type === "MemberExpression" && (argument["object"] as Node).type === "MetaProperty",
  );
}

function hasShell(options: Node): boolean {
  return (options["properties"] as readonly Node[]).some(
    (property) =>
      nameOf(property["key"]) === "shell" && (property["value"] as Node | undefined)?.["value"] !== false,
  );
}
