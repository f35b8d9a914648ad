/**
 * `icp network start` through the launcher (interface 1.1), as a user who has no other network types it: the network starts, is funded,
 * serves the project and stops; what was deployed is there again after the next start, after a kill too. Linux on x64 only: there the command
 * comes as an optional dependency.
 */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { fixturePath } from "../harness.ts";
import { createIcpProject, ICP_AVAILABLE, type IcpProject, nameWithoutIcp } from "./icp-project.ts";

const LAUNCHER = fileURLToPath(new URL("../../../bin/icp-cli-network-launcher", import.meta.url));
const NETWORK = ["networks:", "  - name: local", "    mode: managed", "    gateway:", "      port: 0"];

const yaml = (...more: readonly string[]): string => `${[...NETWORK, ...more].join("\n")}\n`;

interface Descriptor {
  readonly "child-locator": { readonly pid: number };
  readonly gateway: { readonly port: number };
  /** Installed by the command itself. */
  readonly "proxy-canister-id": string;
}

function logOf(directory: string): string {
  const folder = join(directory, ".icp/cache/networks/local/network-launcher");
  try {
    return readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), "utf8"))
      .join("");
  } catch {
    return "";
  }
}

function createProject(icpYaml: string, env: Readonly<Record<string, string>> = {}): IcpProject {
  const project: IcpProject = createIcpProject(
    {
      icpYaml,
      log: () => logOf(project.directory),
      env: { ICP_CLI_NETWORK_LAUNCHER_PATH: LAUNCHER, ...env },
    },
    { counter: "counter.eop" },
  );
  return project;
}

function descriptor(project: IcpProject): Descriptor {
  const path = join(project.directory, ".icp/cache/networks/local/descriptor.json");
  return JSON.parse(readFileSync(path, "utf8")) as Descriptor;
}

/** Kills the launcher and waits until its process is gone. */
async function kill(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

if (ICP_AVAILABLE) {
  describe("icp network start", () => {
    let project: IcpProject;
    before(() => {
      project = createProject(yaml());
    });
    after(async () => {
      await project.run("network", "stop");
      project.remove();
    });

    test("starts a funded network that serves the project", async () => {
      await project.succeed("network", "start", "-d");
      await project.succeed("deploy", "-y");
      assert.match(await project.succeed("canister", "call", "counter", "inc", "()"), /\(1 : nat\)/);
      assert.match(await project.succeed("cycles", "balance"), /Balance: [\d_]+/);
      assert.match(await project.succeed("token", "balance"), /Balance: [\d_.]+ ICP/);
    });

    test("a call by way of the proxy canister that icp installs, with cycles for a new canister", async () => {
      const proxy = ["--proxy", descriptor(project)["proxy-canister-id"]];
      assert.match(
        await project.succeed("canister", "call", "counter", "get", "()", ...proxy),
        /\(1 : nat\)/,
      );
      const detached = ["canister", "create", "--detached", "--cycles", "1t", "-q"];
      const id = await project.succeed(...detached, ...proxy);
      assert.match(await project.succeed("canister", "status", id, ...proxy), /Running/);
    });

    test("a second start finds it running", async () => {
      assert.match(await project.refuse("network", "start", "-d"), /already running/i);
    });

    test("after a stop and a start the project's canisters are there, with their data", async () => {
      await project.succeed("network", "stop");
      await project.succeed("network", "start", "-d");
      assert.match(await project.succeed("canister", "call", "counter", "inc", "()"), /\(2 : nat\)/);
    });

    test("after a kill, too", async () => {
      await kill(descriptor(project)["child-locator"].pid);
      await project.succeed("network", "start", "-d");
      assert.match(await project.succeed("canister", "call", "counter", "inc", "()"), /\(3 : nat\)/);
      await project.succeed("network", "stop");
    });
  });

  test("icp network start: subnets, a delay, and a network that is forgotten", async () => {
    const project = createProject(
      yaml("    artificial-delay-ms: 500", "    subnets:", "      - application", "      - fiduciary"),
      { ORRERY_LAUNCHER_STATE: "none" },
    );
    try {
      await project.succeed("network", "start", "-d");
      const { port } = descriptor(project).gateway;
      const { subnets } = (await (await fetch(`http://127.0.0.1:${port}/_/subnets`)).json()) as {
        readonly subnets: readonly { readonly kind: string }[];
      };
      assert.deepEqual(
        subnets.map(({ kind }) => kind),
        ["system", "application", "application"],
      );
      await project.succeed("deploy", "-y");
      const startedMs = performance.now();
      assert.match(await project.succeed("canister", "call", "counter", "inc", "()"), /\(1 : nat\)/);
      assert.ok(performance.now() - startedMs >= 500, "the call took no longer than the delay");
      await project.succeed("network", "stop");
      await project.succeed("network", "start", "-d");
      assert.match(await project.refuse("canister", "call", "counter", "inc", "()"), /counter/);
    } finally {
      await project.run("network", "stop");
      project.remove();
    }
  });

  test("icp network start: system canisters that the user brings are at their ids, once and for all", async () => {
    const folder = mkdtempSync(join(tmpdir(), "orrery-system-"));
    copyFileSync(fixturePath("counter.eop"), join(folder, "internet-identity.wasm.gz"));
    const project = createProject(yaml("    ii: true"), { ORRERY_SYSTEM_WASM: folder });
    const call = (): Promise<string> =>
      project.succeed("canister", "call", "rdmx6-jaaaa-aaaaa-aaadq-cai", "inc", "()");
    try {
      await project.succeed("network", "start", "-d");
      assert.match(await call(), /\(1 : nat\)/);
      await project.succeed("network", "stop");
      await project.succeed("network", "start", "-d");
      assert.match(await call(), /\(2 : nat\)/);
    } finally {
      await project.run("network", "stop");
      project.remove();
      rmSync(folder, { recursive: true });
    }
  });

  test("icp network start: what the network does not have is refused in words", async () => {
    for (const [line, text] of [
      ["    ii: true", /Internet Identity is not carried here; bring .* with ORRERY_SYSTEM_WASM/],
      ["    nns: true", /registry and governance of the public network.*ORRERY_SYSTEM_WASM/],
      ["    bitcoind-addr:\n      - 127.0.0.1:18444", /Bitcoin/],
    ] as const) {
      const project = createProject(yaml(line), { ORRERY_LAUNCHER_STATE: "none" });
      try {
        assert.match(await project.refuse("network", "start", "-d"), text);
      } finally {
        project.remove();
      }
    }
  });
}
nameWithoutIcp("icp network start");
