/**
 * A project directory in which the `icp` command works against a network: the stanza that `orrery start` prints, canisters built beforehand,
 * identities of its own. Linux on x64 only: there the command comes as an optional dependency.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
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

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface IcpProject {
  readonly directory: string;
  /** Runs the command in the project. */
  run(...argv: readonly string[]): Promise<Outcome>;
  /** Runs it until `during` is through, then interrupts it as Ctrl-C does. `said` resolves once its standard output matches. */
  follow(
    argv: readonly string[],
    during: (said: (pattern: RegExp) => Promise<void>) => Promise<void>,
  ): Promise<void>;
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
  const run = async (...argv: readonly string[]): Promise<Outcome> => {
    const child = spawn(ICP_COMMAND, argv, { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] });
    const written = { out: "", err: "" };
    for (const stream of ["out", "err"] as const) {
      child[stream === "out" ? "stdout" : "stderr"].setEncoding("utf8").on("data", (text: string) => {
        written[stream] += text;
      });
    }
    const [code] = (await once(child, "close")) as [number | null];
    return { code, ...written };
  };
  const follow: IcpProject["follow"] = async (argv, during) => {
    const child = spawn(ICP_COMMAND, argv, { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] });
    const ended = once(child, "close");
    let text = "";
    let check = (): void => {};
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
        check();
      });
    }
    const said = (pattern: RegExp): Promise<void> =>
      new Promise((resolve, reject) => {
        check = () => {
          if (pattern.test(text)) resolve();
        };
        void ended.then(() => reject(new Error(`icp ${argv.join(" ")} ended before ${pattern}:\n${text}`)));
        check();
      });
    try {
      await during(said);
    } finally {
      child.kill("SIGINT");
      await ended;
    }
  };
  const succeed = async (...argv: readonly string[]): Promise<string> => {
    const { code, out, err } = await run(...argv);
    assert.equal(code, 0, `icp ${argv.join(" ")}\n${out}${err}\n${network.log()}`);
    return out.trim();
  };
  return {
    directory,
    run,
    follow,
    succeed,
    async json(...argv) {
      return JSON.parse(await succeed(...argv, "--json")) as Record<string, unknown>;
    },
    async refuse(...argv) {
      const { code, out, err } = await run(...argv);
      assert.notEqual(code, 0, `icp ${argv.join(" ")} succeeded:\n${out}`);
      return `${out}${err}`;
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
