/**
 * What commonly goes wrong before or while a network runs, as checks that say what they saw and what to do. Each looks at one thing and changes
 * nothing; the world that they look at is passed in.
 */

export interface Verdict {
  readonly name: string;
  readonly state: "ok" | "warning" | "problem";
  /** What was seen. */
  readonly text: string;
  /** What to do; null when all is well. */
  readonly remedy: string | null;
}

/** What the checks ask of the machine. */
export interface Machine {
  /** "26.10.0" */
  readonly nodeVersion: string;
  readonly stateDir: string;
  readonly port: number;
  readonly bind: string;
  now(): number;
  memoryBytes(): number;
  /** Free bytes where the state directory is, or will be; null when the system does not tell. */
  freeBytes(): Promise<number | null>;
  /** Names in the state directory; null when there is none. Throws when it cannot be read. */
  entries(): readonly string[] | null;
  writable(): boolean;
  /** First line of the store's identity file; null when there is none. */
  identity(): string | null;
  /** Milliseconds since 1970 of the newest change in the stores; null when there are none. */
  newestChange(): number | null;
  lockHolder(): number | null;
  /** URL of the network that runs from the directory, by its own record. */
  running(): Promise<string | null>;
  answers(url: string): Promise<boolean>;
  /** Whether the port can be listened on; the error's code otherwise. */
  tryPort(): Promise<string | null>;
  /** Addresses of a name. */
  resolve(name: string): Promise<readonly string[]>;
  tool(name: string): string | null;
}

/** Oldest Node.js that everything runs on. */
export const NODE_MAJOR_MIN = 24;
/** Format of stores that this version writes. */
const STORE_FORMAT = 2;
const GIB = 2 ** 30;
const MEMORY_BYTES_MIN: number = 2 * GIB;
const FREE_BYTES_MIN: number = GIB;
/** This version cannot run before it was made: 2026-01-01. */
const CLOCK_MS_MIN: number = Date.UTC(2026, 0, 1);
/** A clock this much behind what was written was set back. */
const CLOCK_BACK_MS_MAX = 60_000;
const OWN_ENTRIES = /^(store(-[1-9]\d*)?|lock\.json|node\.json|node\.log)$/;

const ok = (name: string, text: string): Verdict => ({ name, state: "ok", text, remedy: null });
const warning = (name: string, text: string, remedy: string): Verdict => ({
  name,
  state: "warning",
  text,
  remedy,
});
const problem = (name: string, text: string, remedy: string): Verdict => ({
  name,
  state: "problem",
  text,
  remedy,
});

function runtime({ nodeVersion }: Machine): Verdict {
  const major = Number(nodeVersion.split(".")[0]);
  return major >= NODE_MAJOR_MIN
    ? ok("runtime", `Node.js ${nodeVersion}`)
    : problem("runtime", `Node.js ${nodeVersion} is too old`, `install Node.js ${NODE_MAJOR_MIN} or newer`);
}

function memory(machine: Machine): Verdict {
  const gib = (machine.memoryBytes() / GIB).toFixed(1);
  return machine.memoryBytes() >= MEMORY_BYTES_MIN
    ? ok("memory", `${gib} GiB`)
    : warning("memory", `this machine has ${gib} GiB`, "give it 2 GiB or more, or keep canisters small");
}

async function disk(machine: Machine): Promise<Verdict> {
  const free = await machine.freeBytes();
  if (free === null) return ok("disk", "the system does not tell how much is free");
  const gib = `${(free / GIB).toFixed(1)} GiB free`;
  return free >= FREE_BYTES_MIN
    ? ok("disk", gib)
    : warning("disk", gib, "free some space, or choose another disk with --state-dir");
}

function state(machine: Machine): Verdict {
  const { stateDir } = machine;
  let entries: readonly string[] | null;
  try {
    entries = machine.entries();
  } catch (error) {
    return problem(
      "state",
      `${stateDir} cannot be read (${(error as Error).message})`,
      "fix its permissions, or choose another directory with --state-dir",
    );
  }
  if (entries === null) return ok("state", `${stateDir} does not exist yet: a start makes it`);
  const strangers = entries.filter((name) => !OWN_ENTRIES.test(name));
  if (strangers.length > 0) {
    return problem(
      "state",
      `${stateDir} holds files that are not a network's (${strangers.slice(0, 3).join(", ")})`,
      "choose an empty or another directory with --state-dir",
    );
  }
  if (!machine.writable()) {
    return problem(
      "state",
      `${stateDir} cannot be written`,
      "fix its permissions, or choose another directory with --state-dir",
    );
  }
  return stateFormat(machine);
}

function stateFormat(machine: Machine): Verdict {
  const { stateDir } = machine;
  const identity = machine.identity();
  if (identity === null) return ok("state", `${stateDir} holds no network yet`);
  const format = Number(/^Orrery state directory, format (\d+)/.exec(identity)?.[1] ?? Number.NaN);
  if (format === STORE_FORMAT) return ok("state", `${stateDir} holds a network`);
  if (format > STORE_FORMAT) {
    return problem(
      "state",
      `${stateDir} was written by a newer version (format ${format})`,
      "use that version or a newer one, or choose another directory with --state-dir",
    );
  }
  const seen = Number.isNaN(format) ? "is not a state directory of this program" : `has format ${format}`;
  return problem(
    "state",
    `${stateDir} ${seen}`,
    "choose another directory with --state-dir, or discard the network with orrery start --clean",
  );
}

/** The process that holds the directory, the network's answers, and the port, which tell one story together. */
async function network(machine: Machine): Promise<readonly Verdict[]> {
  const holder = machine.lockHolder();
  const url = await machine.running();
  if (url !== null && holder !== null) {
    return [
      (await machine.answers(url))
        ? ok("network", `runs as process ${holder} and answers at ${url}`)
        : problem(
            "network",
            `process ${holder} runs it, and ${url} does not answer`,
            "read orrery logs; end it with orrery stop and start it again",
          ),
    ];
  }
  const lock =
    holder === null
      ? ok("network", "none runs from this directory")
      : warning(
          "network",
          `process ${holder} holds the directory and answers nothing yet`,
          "wait a moment if it is starting; otherwise end it with orrery stop, or by its number",
        );
  const code = await machine.tryPort();
  const where = `${machine.bind}:${machine.port}`;
  if (code === null) return [lock, ok("port", `${where} is free`)];
  const remedies: Readonly<Record<string, readonly [text: string, remedy: string]>> = {
    EADDRINUSE: ["is taken by another program", "end that program, or choose another port with --port"],
    EACCES: ["may not be listened on", "choose a port above 1023 with --port"],
    EADDRNOTAVAIL: ["is not an address of this machine", "choose another with --bind"],
  };
  const [text, remedy] = remedies[code] ?? [`cannot be listened on (${code})`, "check --bind and --port"];
  return [lock, problem("port", `${where} ${text}`, remedy)];
}

function clock(machine: Machine): Verdict {
  const now = machine.now();
  const shown = new Date(now).toISOString();
  if (now < CLOCK_MS_MIN) {
    return problem("clock", `this machine's clock says ${shown}`, "set it: requests expire by it");
  }
  const newest = machine.newestChange();
  if (newest !== null && newest - now > CLOCK_BACK_MS_MAX) {
    return warning(
      "clock",
      `it says ${shown}, and the network was last written at ${new Date(newest).toISOString()}`,
      "set the clock: until it catches up, the network's time stands still",
    );
  }
  return ok("clock", shown);
}

async function names(machine: Machine): Promise<Verdict> {
  const name = "a-canister.localhost";
  const addresses = await machine.resolve(name).catch((): readonly string[] => []);
  const loopback = (address: string): boolean => address === "::1" || address.startsWith("127.");
  if (addresses.length > 0 && addresses.every(loopback)) return ok("names", `*.localhost is ${addresses[0]}`);
  const remedy =
    "browsers resolve it by themselves; for other programs use http://127.0.0.1:PORT/?canisterId=ID, or add the names you need to the hosts file";
  return addresses.length === 0
    ? warning("names", "this system does not resolve *.localhost", remedy)
    : warning("names", `*.localhost leads to ${addresses[0]}, which is not this machine`, remedy);
}

function tools(machine: Machine): Verdict {
  const missing = ["icp-cli-network-launcher", "pocket-ic"].filter((name) => machine.tool(name) === null);
  return missing.length === 0
    ? ok("tools", "orrery env prints how icp and clients of PocketIC find this network")
    : warning("tools", `this installation has no ${missing.join(", ")}`, "install ic-orrery again");
}

/** All checks, in the order in which their failures explain each other. */
export async function examine(machine: Machine): Promise<readonly Verdict[]> {
  return [
    runtime(machine),
    memory(machine),
    state(machine),
    await disk(machine),
    ...(await network(machine)),
    clock(machine),
    await names(machine),
    tools(machine),
  ];
}
