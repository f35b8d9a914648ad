/** The terminal as the commands see it: results on stdout, progress and errors on stderr, colour where people look. */
import { styleText } from "node:util";

export type Style = "bold" | "red" | "green" | "yellow" | "dim";

export interface Io {
  readonly cwd: string;
  /** Results. */
  out(text: string): void;
  /** Progress, warnings, errors. */
  err(text: string): void;
  /** Styles text for stderr, or for stdout when asked; plain where nobody sees colour. */
  style(style: Style, text: string, stream?: "out" | "err"): string;
}

export function processIo(): Io {
  return {
    cwd: process.cwd(),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    style: (style, text, stream = "err") =>
      styleText(style, text, { stream: stream === "err" ? process.stderr : process.stdout }),
  };
}

/** Rows with their columns aligned, two spaces between them. */
export function table(rows: readonly (readonly string[])[], indent = ""): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const line = (row: readonly string[]): string => {
    const cells = row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)));
    return `${indent}${cells.join("  ").trimEnd()}\n`;
  };
  return rows.map(line).join("");
}

/** The one JSON document of a command: version first, keys in snake_case as given. */
export function jsonDocument(fields: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify({ v: "1", ...fields })}\n`;
}
