/**
 * `orrery trace [TARGET]`: what happened on a network, from its state directory, whether or not it runs. A list of the newest messages, or
 * one of them run again from checkpoint and log with all that it led to, as text, JSON, a Perfetto trace or a page.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { OrreryError, timeToText } from "@orrery/base";
import type {
  Checked,
  HistoryAsk,
  PastMessage,
  PastOutcome,
  RecentAnswer,
  TraceAnswer,
} from "@orrery/node/history";
import { type TimeAxis, type Trace, traceToHtml, traceToPerfetto, traceToText } from "@orrery/sim/trace";
import { canisterNames } from "./canister-names.ts";
import { type Io, jsonDocument, table } from "./io.ts";
import { plain } from "./plain.ts";
import { resolveStateDir } from "./state-files.ts";

export interface TraceOptions {
  readonly stateDir: string;
  readonly count: number;
  readonly perfetto?: string;
  readonly html?: string;
  readonly flame?: string;
  readonly axis: TimeAxis;
  readonly json?: true;
}

const NS_PER_MS = 1_000_000n;
/** Digits of a request id in lists. */
const ID_DIGITS = 12;

export async function trace(target: string | undefined, options: TraceOptions, io: Io): Promise<number> {
  const wantsFile = [options.perfetto, options.html, options.flame].some((file) => file !== undefined);
  if (target === undefined && !wantsFile) return await listRecent(options, io);
  return await traceOne(target ?? "last", options, io);
}

async function ask<A extends HistoryAsk>(given: A, options: TraceOptions, io: Io) {
  const { askHistory } = await import("@orrery/node/history");
  return await askHistory({
    stateDir: resolveStateDir(io.cwd, options.stateDir),
    ask: given,
    onProgress: ({ subnetId, height, last }) =>
      io.err(io.style("dim", `running round ${height} of ${last} of subnet ${subnetId} again …\n`)),
  });
}

async function listRecent(options: TraceOptions, io: Io): Promise<number> {
  const answer: RecentAnswer = await ask({ kind: "recent", count: options.count }, options, io);
  warnOfDifference(answer.checked, io);
  if (options.json === true) {
    io.out(jsonDocument(plain({ ...answer, messages: answer.messages.map(summary) })));
    return 0;
  }
  if (answer.messages.length === 0) {
    io.out("No messages of users are in the blocks that are kept. Queries are in no block.\n");
    return 0;
  }
  const names = canisterNames(io.cwd);
  const rows = answer.messages.map(({ message, outcome }) => rowOf(message, outcome, names));
  io.out(table([HEADINGS.map((text) => io.style("bold", text, "out")), ...rows]));
  io.out(`\n${keptText(answer)}`);
  io.out('See one of them with "orrery trace ID".\n');
  return 0;
}

const HEADINGS = ["TIME", "ROUND", "CANISTER", "METHOD", "CALLER", "STATUS", "INSTRUCTIONS", "CYCLES", "ID"];

function rowOf(
  message: PastMessage,
  outcome: PastOutcome | null,
  names: ReadonlyMap<string, string>,
): readonly string[] {
  const { time, height, canisterId, method, sender, requestId } = message;
  return [
    timeToText(time - (time % NS_PER_MS)),
    `${height}`,
    names.get(canisterId) ?? canisterId,
    method,
    sender.length > 20 ? `${sender.slice(0, 11)}…` : sender,
    outcome === null ? "?" : statusOf(outcome),
    outcome?.trace == null ? "-" : `${outcome.trace.instructions}`,
    outcome?.trace == null ? "-" : `${cyclesOf(outcome.trace)}`,
    requestId.slice(0, ID_DIGITS),
  ];
}

function statusOf({ status, reject }: PastOutcome): string {
  return reject === null ? status : `${status} ${reject.errorCode}`;
}

/** What the balance of the canister that was asked came to. */
function cyclesOf({ messages }: Trace): bigint {
  return messages.reduce((sum, { cycles }) => sum + cycles, 0n);
}

function summary({ message, outcome }: RecentAnswer["messages"][number]): object {
  return {
    ...message,
    status: outcome?.status ?? null,
    reject: outcome?.reject ?? null,
    instructions: outcome?.trace?.instructions ?? null,
    cycles: outcome?.trace == null ? null : cyclesOf(outcome.trace),
  };
}

/** A line for each subnet that the list is about. */
function keptText({ kept, messages }: RecentAnswer): string {
  const subnets = new Set(messages.map(({ message }) => message.subnetId));
  const lines = kept
    .filter(({ subnetId }) => subnets.has(subnetId))
    .map(({ subnetId, firstRound, lastBlock }) =>
      firstRound === null
        ? `No round of subnet ${subnetId} can run again.`
        : `Rounds ${firstRound} to ${lastBlock} of subnet ${subnetId} can run again.`,
    );
  if (messages.some(({ outcome }) => outcome === null))
    lines.push("Those with a question mark are too far back for a list: name one to run it again.");
  return `${lines.join("\n")}\n`;
}

function warnOfDifference({ differs }: Checked, io: Io): void {
  if (differs === null) return;
  io.err(
    `${io.style("yellow", "warning:")} round ${differs.height} of subnet ${differs.subnetId} came to another state than the one that was certified: another version of Orrery ran it then. What follows may differ from what happened.\n`,
  );
}

async function traceOne(target: string, options: TraceOptions, io: Io): Promise<number> {
  const profile = options.flame === undefined ? {} : { profile: true as const };
  const answer: TraceAnswer = await ask({ kind: "trace", target, ...profile }, options, io);
  warnOfDifference(answer.checked, io);
  const names = canisterNames(io.cwd);
  const files = await writeFiles(answer, { options, names, cwd: io.cwd });
  if (options.json === true) {
    io.out(jsonDocument(plain({ ...answer, files })));
    return 0;
  }
  if (files.length === 0) io.out(`${describe(answer, names)}\n`);
  for (const path of files) io.out(`Wrote ${path}.\n`);
  return 0;
}

/** Writes the files that were asked for; returns their paths. */
async function writeFiles(
  answer: TraceAnswer,
  place: {
    readonly options: TraceOptions;
    readonly names: ReadonlyMap<string, string>;
    readonly cwd: string;
  },
): Promise<readonly string[]> {
  const { options, names, cwd } = place;
  const { flameText } = await import("./flame.ts");
  const traces = answer.outcome.trace === null ? [] : [answer.outcome.trace];
  const { message } = answer;
  const title = message === null ? {} : { title: `${message.method} of ${called(message, names)}` };
  const files: [string | undefined, () => string][] = [
    [options.html, () => traceToHtml(traces, { ...title, facts: factsOf(answer, names), names })],
    [options.flame, () => flameText(answer, { ...title, file: options.flame ?? "", names })],
    [options.perfetto, () => traceToPerfetto(traces, { axis: options.axis, names })],
  ];
  return files.flatMap(([file, text]) => {
    if (file === undefined) return [];
    const path = resolve(cwd, file);
    try {
      writeFileSync(path, text());
    } catch (cause) {
      throw new OrreryError(
        "file_unwritable",
        `${path} cannot be written (${(cause as Error).message}); name another file`,
        { cause },
      );
    }
    return [path];
  });
}

function called({ canisterId }: PastMessage, names: ReadonlyMap<string, string>): string {
  return names.get(canisterId) ?? canisterId;
}

function factsOf(
  { message, outcome, checked }: TraceAnswer,
  names: ReadonlyMap<string, string>,
): readonly (readonly [string, string])[] {
  const known: readonly (readonly [string, string])[] =
    message === null
      ? []
      : [
          ["message", message.requestId],
          ["time", `${timeToText(message.time)}, round ${message.height} of subnet ${message.subnetId}`],
          ["call", `${called(message, names)} ${message.method}`],
          ["caller", message.sender],
          [
            "status",
            outcome.reject === null ? outcome.status : `${statusOf(outcome)}: ${outcome.reject.message}`,
          ],
        ];
  return [
    ...known,
    ["run again", checkedText(checked)],
    ...(outcome.isWhole ? [] : [["not over", "more may come of it in later rounds"] as const]),
  ];
}

function describe(answer: TraceAnswer, names: ReadonlyMap<string, string>): string {
  const { trace: tree } = answer.outcome;
  const facts = table(factsOf(answer, names));
  return `${facts}\n${tree === null ? "No canister executed anything for it." : traceToText([tree], { names })}`;
}

function checkedText({ rounds, same, differs }: Checked): string {
  if (differs !== null)
    return `${rounds} rounds; round ${differs.height} came to another state than was certified`;
  if (same === rounds) return `${rounds} rounds, every state as it was certified`;
  return `${rounds} rounds; ${same} states as they were certified, the others are not on record`;
}
