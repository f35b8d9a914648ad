/** What a compiler has to say, with the line that it is about and a caret under the place. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Io } from "../io.ts";
import type { Diagnostic } from "./motoko-worker.ts";

/** A line longer than this is shown around the place only. */
const LINE_CHARACTERS_MAX = 160;
const TAB = 4;

function lineOf(root: string, { source, start }: Diagnostic): string | null {
  try {
    return readFileSync(join(root, source), "utf8").split(/\r?\n/)[start.line] ?? null;
  } catch {
    return null;
  }
}

/** Columns that the text takes, tabs as spaces. */
function expand(text: string): string {
  return text.replaceAll("\t", " ".repeat(TAB));
}

function excerpt(
  line: string,
  { start, end }: Diagnostic,
): { readonly text: string; readonly marks: string } {
  const before = expand(line.slice(0, start.character));
  const to = end.line === start.line ? end.character : line.length;
  const width = Math.max(1, expand(line.slice(start.character, to)).length);
  const text = expand(line).trimEnd();
  const cut = before.length + width > LINE_CHARACTERS_MAX ? Math.max(0, before.length - TAB * 5) : 0;
  return {
    text: text.slice(cut, cut + LINE_CHARACTERS_MAX),
    marks: `${" ".repeat(before.length - cut)}${"^".repeat(Math.min(width, LINE_CHARACTERS_MAX))}`,
  };
}

/** Several lines, their end included. Positions are shown from 1, as editors count. */
export function renderDiagnostic(diagnostic: Diagnostic, root: string, style: Io["style"]): string {
  const { source, start, severity, code, message } = diagnostic;
  const colour = severity === "error" ? "red" : "yellow";
  const place = style("bold", `${source}:${start.line + 1}:${start.character + 1}:`);
  const head = `${place} ${style(colour, severity)} [${code}] ${message.trim()}\n`;
  const line = lineOf(root, diagnostic);
  if (line === null) return head;
  const { text, marks } = excerpt(line, diagnostic);
  const number = `${start.line + 1}`;
  const gutter = " ".repeat(number.length);
  return `${head}${style("dim", `${number} | `)}${text}\n${style("dim", `${gutter} | `)}${style(colour, marks)}\n`;
}
