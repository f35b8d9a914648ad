/**
 * `orrery profile CANISTER METHOD [ARG]`: which functions a call spends its instructions in. The call is made in a copy of the network of a
 * state directory, running or not, which is then forgotten; the network itself never hears of it.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { OrreryError, principalFromText, toHex } from "@orrery/base";
import type { ProfileAnswer } from "@orrery/node/history";
import { functionShares, profileToFolded, profileToSpeedscope, renderFlameGraph } from "@orrery/sim/profile";
import { canisterNames } from "./canister-names.ts";
import { type Io, jsonDocument, table } from "./io.ts";
import { plain } from "./plain.ts";
import { resolveStateDir } from "./state-files.ts";

export interface ProfileOptions {
  readonly stateDir: string;
  readonly sender: string;
  readonly query?: true;
  readonly count: number;
  readonly html?: string;
  readonly folded?: string;
  readonly speedscope?: string;
  readonly json?: true;
}

export interface ProfiledMethod {
  /** A name of the project's, or an id. */
  readonly canister: string;
  readonly method: string;
  /** Candid's textual form. */
  readonly arg: string | undefined;
}

const NO_ARGUMENTS = "()";

/** `candid_invalid`, `file_unwritable`, `principal_invalid`, and those of opening a state directory. */
export async function profile(target: ProfiledMethod, options: ProfileOptions, io: Io): Promise<number> {
  const { encodeCandidText } = await import("./project/candid-text.ts");
  const { askHistory } = await import("@orrery/node/history");
  const names = canisterNames(io.cwd);
  const canisterId = idOf(target.canister, names);
  const answer = await askHistory({
    stateDir: resolveStateDir(io.cwd, options.stateDir),
    ask: {
      kind: "profile",
      canisterId,
      method: target.method,
      arg: encodeCandidText(target.arg ?? NO_ARGUMENTS),
      sender: checkedPrincipal(options.sender, "--sender"),
      query: options.query === true,
      names,
    },
    onProgress: ({ subnetId, height, last }) =>
      io.err(io.style("dim", `bringing the copy of subnet ${subnetId} to round ${height} of ${last} …\n`)),
  });
  const files = writeFiles(answer, options, {
    title: `${target.method} of ${names.get(canisterId) ?? canisterId}`,
    cwd: io.cwd,
  });
  if (options.json === true) io.out(jsonDocument(documentOf(answer)));
  else {
    io.out(described(answer, options.count, io));
    for (const file of files) io.out(`Wrote ${file}.\n`);
  }
  return 0;
}

/** By its name in the project, or by its id. */
function idOf(canister: string, names: ReadonlyMap<string, string>): string {
  for (const [id, name] of names) if (name === canister) return id;
  return checkedPrincipal(canister, "CANISTER");
}

function checkedPrincipal(text: string, what: string): string {
  try {
    principalFromText(text);
    return text;
  } catch (cause) {
    throw new OrreryError(
      "principal_invalid",
      `${what}: "${text}" is no principal, nor a canister of the project in this directory; give an id, or go to the project`,
      { cause },
    );
  }
}

function writeFiles(
  answer: ProfileAnswer,
  { html, folded, speedscope }: ProfileOptions,
  { title, cwd }: { readonly title: string; readonly cwd: string },
): readonly string[] {
  const { profile: stacks, error, instructions } = answer;
  const subtitle = `${error === null ? "replied" : `${error.code}: ${error.message}`} · ${instructions} instructions`;
  const wanted: readonly (readonly [string | undefined, () => string])[] = [
    [html, () => renderFlameGraph(stacks, { title, subtitle })],
    [folded, () => profileToFolded(stacks)],
    [speedscope, () => profileToSpeedscope(stacks, { title })],
  ];
  return wanted.flatMap(([path, render]) => {
    if (path === undefined) return [];
    write(resolve(cwd, path), render());
    return [path];
  });
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new OrreryError("file_unwritable", `${path} cannot be written (${why}); name another file`, {
      cause,
    });
  }
}

function documentOf({ reply, error, instructions, profile: stacks, trace }: ProfileAnswer) {
  return plain({
    reply: reply === null ? null : toHex(reply),
    error,
    instructions,
    functions: functionShares(stacks),
    stacks: stacks.stacks,
    cycles: trace?.messages.reduce((sum, { cycles }) => sum + cycles, 0n) ?? null,
  });
}

/** How it ended, and the functions with the most instructions of their own. */
function described(
  { reply, error, instructions, profile: stacks }: ProfileAnswer,
  count: number,
  io: Io,
): string {
  const outcome =
    error === null ? `replied with ${reply?.length ?? 0} bytes` : `${error.code}: ${error.message}`;
  const head = table([
    ["outcome", outcome],
    ["instructions", grouped(instructions)],
  ]);
  const shares = functionShares(stacks);
  if (shares.length === 0) return `${head}No canister executed anything for it.\n`;
  const rows = shares
    .slice(0, count)
    .map(({ name, self, total }) => [
      grouped(self),
      percent(self, instructions),
      grouped(total),
      percent(total, instructions),
      name,
    ]);
  const more = shares.length - rows.length;
  const rest = more > 0 ? `… and ${more} more; --count shows others, --html all of them.\n` : "";
  return `${head}\n${aligned([HEADINGS, ...rows], io)}${rest}`;
}

const HEADINGS = ["SELF", "%", "TOTAL", "%", "FUNCTION"];

/** Numbers end at one place. */
function aligned(rows: readonly (readonly string[])[], io: Io): string {
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const last = HEADINGS.length - 1;
  const lines = rows.map((row) =>
    row.map((cell, i) => (i === last ? cell : cell.padStart(widths[i] ?? 0))).join("  "),
  );
  const [head = "", ...body] = lines;
  return `${[io.style("bold", head, "out"), ...body].join("\n")}\n`;
}

function grouped(value: bigint): string {
  return value.toLocaleString("en-US");
}

/** With two places, rounded. */
function percent(part: bigint, whole: bigint): string {
  return (Number((part * 20_000n + whole) / (2n * whole)) / 100).toFixed(2);
}
