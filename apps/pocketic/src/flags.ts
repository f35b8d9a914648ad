/**
 * The command line of a PocketIC server: the flags that clients and launchers of version 14 pass, and what they mean here. What this server
 * has no use for (routing tables of the public network) is accepted, so that nobody's start fails for it.
 */
import { parseArgs } from "node:util";

/** The version that clients of the protocol ask for; each release of the Rust client accepts one major version only. */
const DEFAULT_VERSION = "14.0.0";
const TTL_SECONDS_DEFAULT = 60;
/** About 24 days: what a timer of the runtime can count. Longer is for ever. */
const TTL_SECONDS_MAX = 2_147_483;

export interface Flags {
  readonly bind: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly portFile: string | null;
  /** Without a request for so long the server ends; null never. */
  readonly ttlMs: number | null;
  /** So long after its start the server ends in any case; null never. */
  readonly hardTtlMs: number | null;
  /** In the form of the `RUST_LOG` variable. */
  readonly logLevels: string | null;
}

export type CommandLine =
  | { readonly kind: "serve"; readonly flags: Flags }
  /** Prints the text and ends with the code. */
  | { readonly kind: "say"; readonly text: string; readonly code: 0 | 2 };

const HELP = `PocketIC server of Orrery

Usage: pocket-ic [OPTIONS]

Options:
  -i, --ip-addr <IP_ADDR>        Address to bind to [default: 127.0.0.1]
  -p, --port <PORT>              Port to listen at; 0 takes any free one [default: 0]
  -l, --log-levels <LOG_LEVELS>  Log filter, like "error" or "pocket_ic_server=info"
      --port-file <PORT_FILE>    File to create and to write the port to
      --ttl <SECONDS>            Ends when there was no request for so long [default: 60]
      --hard-ttl <SECONDS>       Ends so long after its start in any case
      --mainnet-routing-table <FILE>, --fetch-mainnet-routing-table, --mainnet-registry-version <N>
                                 Accepted and not used: the ranges of the public network are built in
  -h, --help                     Print help
  -V, --version                  Print version

Environment:
  ORRERY_POCKET_IC_VERSION       Version to print and to be taken for [default: ${DEFAULT_VERSION}]
  ORRERY_POCKET_IC_HOSTS         Names that requests may be addressed to, beside localhost and addresses; comma-separated
  POCKET_IC_LOG_DIR              Folder for a log file
`;

/** `pocket-ic-server X.Y.Z`, one space: the Rust client parses this. */
export function versionText(env: NodeJS.ProcessEnv): string {
  const asked = env["ORRERY_POCKET_IC_VERSION"];
  return `pocket-ic-server ${asked === undefined || asked === "" ? DEFAULT_VERSION : asked}\n`;
}

function wrong(why: string): CommandLine {
  return { kind: "say", text: `error: ${why}\n\nFor more information, try '--help'.\n`, code: 2 };
}

/** Whole number of `text` in the range, or null. */
function whole(text: string, max: number): number | null {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return value <= max ? value : null;
}

function seconds(text: string): number | null {
  const value = whole(text, Number.MAX_SAFE_INTEGER);
  if (value === null) return null;
  return value > TTL_SECONDS_MAX ? Number.POSITIVE_INFINITY : value * 1_000;
}

const OPTIONS = {
  "ip-addr": { type: "string", short: "i" },
  port: { type: "string", short: "p" },
  "log-levels": { type: "string", short: "l" },
  "port-file": { type: "string" },
  ttl: { type: "string" },
  "hard-ttl": { type: "string" },
  "mainnet-routing-table": { type: "string" },
  "fetch-mainnet-routing-table": { type: "boolean" },
  "mainnet-registry-version": { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
} as const;

/** Reads the arguments after the program's name. */
export function readCommandLine(argv: readonly string[], env: NodeJS.ProcessEnv): CommandLine {
  let values: ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];
  try {
    ({ values } = parseArgs({ args: [...argv], options: OPTIONS, strict: true, allowPositionals: false }));
  } catch (error) {
    return wrong((error as Error).message);
  }
  if (values.help === true) return { kind: "say", text: HELP, code: 0 };
  if (values.version === true) return { kind: "say", text: versionText(env), code: 0 };
  const port = whole(values.port ?? "0", 65_535);
  if (port === null) return wrong(`invalid value '${values.port}' for '--port': expected 0 to 65535`);
  const ttlMs = seconds(values.ttl ?? String(TTL_SECONDS_DEFAULT));
  if (ttlMs === null) return wrong(`invalid value '${values.ttl}' for '--ttl': expected seconds`);
  const hardTtlMs = seconds(values["hard-ttl"] ?? String(Number.MAX_SAFE_INTEGER));
  if (hardTtlMs === null)
    return wrong(`invalid value '${values["hard-ttl"]}' for '--hard-ttl': expected seconds`);
  return {
    kind: "serve",
    flags: {
      bind: values["ip-addr"] ?? "127.0.0.1",
      port,
      portFile: values["port-file"] ?? null,
      ttlMs: ttlMs === Number.POSITIVE_INFINITY ? null : ttlMs,
      hardTtlMs: hardTtlMs === Number.POSITIVE_INFINITY ? null : hardTtlMs,
      logLevels: values["log-levels"] ?? null,
    },
  };
}
