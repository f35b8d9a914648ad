/** The server's own log: lines on stdout, and in a file where POCKET_IC_LOG_DIR asks for one. Canisters print to stderr. */
import { appendFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

export type Level = "debug" | "info" | "warn" | "error";
export type Log = (level: Level, message: string) => void;

const LEVELS: readonly Level[] = ["debug", "info", "warn", "error"];
const TARGET = "pocket_ic_server";

/** The level that a filter like "error" or "pocket_ic_server=debug,tower_http=info" gives this server. */
export function levelOf(filter: string): Level {
  let level: Level = "info";
  for (const directive of filter.split(",")) {
    const [target, asked = target] = directive.trim().toLowerCase().split("=") as [string, string?];
    if (target !== asked && target !== TARGET) continue;
    if (asked === "trace") level = "debug";
    else if (asked === "off") level = "error";
    else if (LEVELS.includes(asked as Level)) level = asked as Level;
  }
  return level;
}

export function createLog(filter: string | null, env: NodeJS.ProcessEnv): Log {
  const least = LEVELS.indexOf(levelOf(env["RUST_LOG"] ?? filter ?? ""));
  const folder = env["POCKET_IC_LOG_DIR"];
  const stamp = new Date().toISOString().replaceAll(":", "_");
  const file = folder === undefined || folder === "" ? null : join(folder, `${TARGET}_${stamp}.log`);
  if (folder !== undefined && file !== null && !existsSync(folder)) mkdirSync(folder);
  return (level, message) => {
    if (LEVELS.indexOf(level) < least) return;
    const line = `${new Date().toISOString()} ${level.toUpperCase().padStart(5)} ${TARGET}: ${message}\n`;
    process.stdout.write(line);
    if (file !== null) appendFileSync(file, line);
  };
}
