/**
 * Flags of the network launcher, interface 1.1: what a tool that starts a network composes. Both `--flag value` and `--flag=value` occur.
 * A flag that is not known is an error, or a warning when the tool says that it speaks a newer interface of the same major version.
 */
import { isIP } from "node:net";
import { OrreryError } from "@orrery/base";

export const INTERFACE_VERSION = "1.1.0";
export const INTERFACE_VARIABLE = "ICP_CLI_NETWORK_LAUNCHER_INTERFACE_VERSION";

/** Kinds of `--subnet`, with underscores or dashes between words. */
const SUBNETS = [
  "application",
  "system",
  "verified-application",
  "bitcoin",
  "fiduciary",
  "nns",
  "sns",
  "cloud-engine",
  "test-threshold-keys",
] as const;
export type LauncherSubnet = (typeof SUBNETS)[number];

const PORT_MAX = 65_535;
/** A minute: longer than any client waits for an answer. */
const DELAY_MS_MAX = 60_000;

export interface LauncherFlags {
  /** 0 takes any free port. */
  readonly gatewayPort: number;
  readonly bind: string;
  /** Of the admin interface; 0 takes any free port. */
  readonly configPort: number;
  readonly configBind: string;
  readonly stateDir: string | null;
  readonly statusDir: string | null;
  readonly artificialDelayMs: number;
  /** As given; empty when none was. */
  readonly subnets: readonly LauncherSubnet[];
  /** Host names that the gateway answers to, beside localhost. */
  readonly domains: readonly string[];
  readonly customDomainsFile: string | null;
  readonly stdoutFile: string | null;
  readonly stderrFile: string | null;
  readonly verbose: boolean;
  readonly internetIdentity: boolean;
  readonly nns: boolean;
  readonly bitcoin: boolean;
  readonly dogecoin: boolean;
  /** What was asked for and means nothing here. */
  readonly warnings: readonly string[];
}

type Kind = "value" | "switch";

const KINDS: Readonly<Record<string, Kind>> = {
  "--gateway-port": "value",
  "--config-port": "value",
  "--bind": "value",
  "--pocketic-config-bind": "value",
  "--domain": "value",
  "--custom-domains-file": "value",
  "--state-dir": "value",
  "--artificial-delay-ms": "value",
  "--subnet": "value",
  "--bitcoind-addr": "value",
  "--dogecoind-addr": "value",
  "--ii": "switch",
  "--nns": "switch",
  "--pocketic-server-path": "value",
  "--stdout-file": "value",
  "--stderr-file": "value",
  "--status-dir": "value",
  "--verbose": "switch",
  "--interface-version": "value",
};

/** Flags about another program's server, and why they change nothing here. */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  "--pocketic-server-path": "the network is this program's own",
};

function usage(text: string): OrreryError {
  return new OrreryError("launcher_usage", text);
}

function parseNumber(flag: string, text: string, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > max) {
    throw usage(`${flag} is "${text}"; give a whole number from 0 to ${max}`);
  }
  return value;
}

function parseSubnet(text: string): LauncherSubnet {
  const subnet = SUBNETS.find((each) => each === text.replaceAll("_", "-"));
  if (subnet === undefined) throw usage(`--subnet is "${text}"; give one of ${SUBNETS.join(", ")}`);
  return subnet;
}

/** Whether the interface asked for is newer than this one; refuses another major version. */
function isNewer(version: string): boolean {
  const parts = /^(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (parts === null)
    throw usage(`--interface-version is "${version}"; give a version such as ${INTERFACE_VERSION}`);
  const [major, minor, patch] = parts.slice(1).map(Number) as [number, number, number];
  if (major !== 1) {
    throw usage(
      `interface version ${version} was asked for, this launcher speaks ${INTERFACE_VERSION}; use a version of icp that speaks 1.x`,
    );
  }
  return minor > 1 || (minor === 1 && patch > 0);
}

interface Given {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly unknown: readonly string[];
}

function read(argv: readonly string[]): Given {
  const values = new Map<string, string[]>();
  const unknown: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] as string;
    const equals = argument.indexOf("=");
    const flag = equals < 0 ? argument : argument.slice(0, equals);
    const kind = KINDS[flag];
    if (kind === undefined) {
      unknown.push(flag);
      // Its value, if it has one in a word of its own.
      if (equals < 0 && argv[i + 1]?.startsWith("-") === false) i++;
      continue;
    }
    let value = equals < 0 ? null : argument.slice(equals + 1);
    if (kind === "switch" && value !== null) throw usage(`${flag} takes no value`);
    if (kind === "value" && value === null) {
      i++;
      value = argv[i] ?? null;
      if (value === null) throw usage(`${flag} needs a value`);
    }
    values.set(flag, [...(values.get(flag) ?? []), value ?? ""]);
  }
  return { values, unknown };
}

/** Of the command line, without the program's name, and the environment. Errors: `launcher_usage`. */
export function parseFlags(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): LauncherFlags {
  const { values, unknown } = read(argv);
  const last = (flag: string): string | null => values.get(flag)?.at(-1) ?? null;
  const number = (flag: string, max: number): number => {
    const text = last(flag);
    return text === null ? 0 : parseNumber(flag, text, max);
  };
  const version = last("--interface-version") ?? env[INTERFACE_VARIABLE] ?? INTERFACE_VERSION;
  const newer = isNewer(version);
  if (unknown.length > 0 && !newer) {
    throw usage(
      `unknown flag ${unknown[0]}; interface ${INTERFACE_VERSION} has ${Object.keys(KINDS).join(", ")}`,
    );
  }
  const address = (flag: string): string => {
    const bind = last(flag) ?? "127.0.0.1";
    if (isIP(bind) === 0) throw usage(`${flag} is "${bind}"; give an IP address`);
    return bind;
  };
  return {
    gatewayPort: number("--gateway-port", PORT_MAX),
    bind: address("--bind"),
    configPort: number("--config-port", PORT_MAX),
    configBind: address("--pocketic-config-bind"),
    stateDir: last("--state-dir"),
    statusDir: last("--status-dir"),
    artificialDelayMs: number("--artificial-delay-ms", DELAY_MS_MAX),
    subnets: (values.get("--subnet") ?? []).map(parseSubnet),
    domains: values.get("--domain") ?? [],
    customDomainsFile: last("--custom-domains-file"),
    stdoutFile: last("--stdout-file"),
    stderrFile: last("--stderr-file"),
    verbose: values.has("--verbose"),
    internetIdentity: values.has("--ii"),
    nns: values.has("--nns"),
    bitcoin: values.has("--bitcoind-addr"),
    dogecoin: values.has("--dogecoind-addr"),
    warnings: [
      ...unknown.map((flag) => `${flag} is not known to interface ${INTERFACE_VERSION} and is passed over`),
      ...Object.entries(WITHOUT_EFFECT).flatMap(([flag, why]) =>
        values.has(flag) ? [`${flag} has no effect: ${why}`] : [],
      ),
    ],
  };
}
