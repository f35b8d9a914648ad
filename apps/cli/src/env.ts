/**
 * `orrery env`: what a shell has to export so that other tools use this installation's executables in place of their own, and where
 * the network of a state directory answers when it runs.
 */
import { type Io, jsonDocument } from "./io.ts";
import { resolveStateDir, runningNetwork } from "./state-files.ts";
import { toolPath } from "./tools.ts";

const SHELLS = ["posix", "fish", "powershell"] as const;
export type Shell = (typeof SHELLS)[number];

export interface EnvOptions {
  readonly stateDir: string;
  readonly shell: Shell;
  readonly json?: true;
}

interface Variable {
  readonly name: string;
  readonly value: string;
  /** What it is for. */
  readonly note: string;
}

function quote(value: string, shell: Shell): string {
  const doubled = shell === "powershell" ? "''" : "'\\''";
  return `'${value.replaceAll("'", doubled)}'`;
}

function line({ name, value }: Variable, shell: Shell): string {
  switch (shell) {
    case "posix":
      return `export ${name}=${quote(value, shell)}`;
    case "fish":
      return `set -gx ${name} ${quote(value, shell)}`;
    case "powershell":
      return `$env:${name} = ${quote(value, shell)}`;
  }
}

async function variables(stateDir: string): Promise<readonly Variable[]> {
  const tools = [
    ["ICP_CLI_NETWORK_LAUNCHER_PATH", "icp-cli-network-launcher", "icp network start"],
    ["POCKET_IC_BIN", "pocket-ic", "clients of PocketIC"],
  ] as const;
  const found = tools.flatMap(([name, tool, note]): readonly Variable[] => {
    const value = toolPath(tool);
    return value === null ? [] : [{ name, value, note }];
  });
  const running = await runningNetwork(stateDir);
  if (running === null) return found;
  return [
    ...found,
    { name: "ORRERY_URL", value: running.api_url, note: "icp canister … -n $ORRERY_URL -k $ORRERY_ROOT_KEY" },
    { name: "ORRERY_ROOT_KEY", value: running.root_key, note: "the key that its certificates verify with" },
  ];
}

export async function env(options: EnvOptions, io: Io): Promise<number> {
  const list = await variables(resolveStateDir(io.cwd, options.stateDir));
  if (options.json === true) {
    io.out(jsonDocument({ variables: Object.fromEntries(list.map(({ name, value }) => [name, value])) }));
    return 0;
  }
  for (const variable of list) io.out(`${line(variable, options.shell)}  # ${variable.note}\n`);
  return 0;
}
