/**
 * A project directory in which the `icp` command works against a network: the stanza that `orrery start` prints, canisters built beforehand,
 * identities of its own. Linux on x64 only: there the command comes as an optional dependency.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Command, launch, type Outcome, refused, succeeded } from "@orrery/host/command";
import { fixturePath, type Network } from "../harness.ts";

/** Where the project's network comes from. */
export interface IcpNetwork {
  /** The stanza for `icp.yaml`, its end included. */
  readonly icpYaml: string;
  log(): string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The command itself, where it exists. */
export const ICP_COMMAND: string = fileURLToPath(
  new URL("../../../node_modules/@icp-sdk/icp-cli-linux-x64/bin/icp", import.meta.url),
);

/** Whether the command exists for this machine. */
export const ICP_AVAILABLE: boolean = process.platform === "linux" && process.arch === "x64";

/** Where the command does not exist, what it would have tested is named as skipped. */
export function nameWithoutIcp(what: string): void {
  const skip = ICP_AVAILABLE
    ? false
    : `no icp command comes from npm for ${process.platform} on ${process.arch}`;
  if (!ICP_AVAILABLE) test(what, { skip }, () => {});
}

export interface IcpProject {
  readonly directory: string;
  /** Runs the command in the project. */
  run(...argv: readonly string[]): Promise<Outcome>;
  /** Runs it until `during` is through, then interrupts it as Ctrl-C does; what it wrote. */
  follow(argv: readonly string[], during: (said: Command["said"]) => Promise<unknown>): Promise<Outcome>;
  /** Runs it and fails unless it succeeds; its standard output, trimmed. */
  succeed(...argv: readonly string[]): Promise<string>;
  /** The same for commands that print JSON. */
  json(...argv: readonly string[]): Promise<Record<string, unknown>>;
  /** Runs it and fails when it succeeds; what it wrote. */
  refuse(...argv: readonly string[]): Promise<string>;
  remove(): void;
}

/** A new project whose canisters are fixtures, by name. */
export function createIcpProject(
  source: Network | IcpNetwork,
  canisters: Readonly<Record<string, string>>,
): IcpProject {
  const network: IcpNetwork =
    "icpYaml" in source ? source : { icpYaml: source.document.icp_yaml, log: source.log };
  const directory = mkdtempSync(join(tmpdir(), "orrery-icp-"));
  const stanzas = Object.entries(canisters).flatMap(([name, fixture]) => [
    `  - name: ${name}`,
    "    build:",
    "      steps:",
    "        - type: pre-built",
    `          path: ${fixturePath(fixture)}`,
  ]);
  const document = `${network.icpYaml}${["canisters:", ...stanzas].join("\n")}\n`;
  writeFileSync(join(directory, "icp.yaml"), document);
  const env = {
    ...process.env,
    ...network.env,
    DO_NOT_TRACK: "1",
    ICP_TELEMETRY_DISABLED: "1",
    CI: "1",
    ICP_HOME: join(directory, "home"),
    NO_COLOR: "1",
  };
  const start = (...argv: readonly string[]): Command =>
    launch({ cwd: directory, env }, ICP_COMMAND, ...argv);
  const succeed = async (...argv: readonly string[]): Promise<string> =>
    (await succeeded(start(...argv), network.log)).out.trim();
  return {
    directory,
    run: (...argv) => start(...argv).ended,
    async follow(argv, during) {
      const { child, ended, said } = start(...argv);
      try {
        await during(said);
      } finally {
        child.kill("SIGINT");
        await ended;
      }
      return await ended;
    },
    succeed,
    async json(...argv) {
      return JSON.parse(await succeed(...argv, "--json")) as Record<string, unknown>;
    },
    async refuse(...argv) {
      const { out, err } = await refused(start(...argv));
      return `${out}${err}`;
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
