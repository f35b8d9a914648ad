/**
 * A fork of production: a canister that the `icp` command downloads from one network lives on another, of other keys, under its own id and with
 * its state: by the library and by `orrery snapshot load --icp`, where it is called and traced. Linux on x64 only: there the command comes
 * as an optional dependency.
 */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Outcome } from "@orrery/host/command";
import { createNetwork } from "ic-orrery";
import { type Network, startNetwork } from "../harness.ts";
import { orrery as orreryIn } from "../orrery.ts";
import { createIcpProject, ICP_AVAILABLE, type IcpProject, nameWithoutIcp } from "./icp-project.ts";
import { shareNetwork } from "./shared-network.ts";

/** Of canisters of the public network: an application's, one of the ledger's subnet, one of the subnet of the cycles ledger. */
const FOREIGN = ["6qfxa-ryaaa-aaaai-qbhsq-cai", "qhbym-qaaaa-aaaaa-aaafq-cai", "ul4oc-4iaaa-aaaaq-qaabq-cai"];
const THREE = [0x44, 0x49, 0x44, 0x4c, 0, 1, 0x7d, 3];

const orrery = (...argv: readonly string[]): Promise<Outcome> => orreryIn({ cwd: scratch }, ...argv);

const origin = shareNetwork();
let project: IcpProject;
let scratch: string;
/** The downloaded folder, named after the canister. */
let folder: string;
let id: string;

if (ICP_AVAILABLE) {
  describe("a canister that icp downloaded elsewhere", () => {
    before(async () => {
      scratch = mkdtempSync(join(tmpdir(), "orrery-fork-"));
      project = createIcpProject(origin.network, { counter: "counter.eop" });
      await project.succeed("deploy");
      id = String((await project.json("canister", "status", "counter"))["id"]);
      for (const expected of [/\(1 : nat\)/, /\(2 : nat\)/])
        assert.match(await project.succeed("canister", "call", "counter", "inc", "()"), expected);
      await project.succeed("canister", "stop", "counter");
      const taken = await project.succeed("canister", "snapshot", "create", "counter", "-q");
      const output = join(scratch, "download");
      await project.succeed("canister", "snapshot", "download", "counter", taken, "--output", output);
      folder = join(scratch, id);
      renameSync(output, folder);
    });
    after(() => {
      project.remove();
      rmSync(scratch, { recursive: true, force: true });
    });

    test("lives under its own id and under ids of the public network, in process", async () => {
      const network = await createNetwork({ seed: new Uint8Array(32).fill(7) });
      try {
        assert.equal(network.loadCanister(folder), id);
        for (const as of FOREIGN)
          assert.equal(network.loadCanister(folder, { as, cycles: 3n * 10n ** 12n }), as);
        network.trace(true);
        for (const canisterId of [id, ...FOREIGN]) {
          assert.deepEqual([...network.update({ canisterId, method: "inc" })], THREE, canisterId);
        }
        const { traces, text } = network.takeTraces();
        assert.equal(traces.length, 4);
        assert.match(text, new RegExp(`${id} update "inc": \\d+ instructions`));
        // In a copy: none of these calls counts.
        for (const canisterId of [id, ...FOREIGN]) {
          const { reply, profile, instructions } = await network.profile({ canisterId, method: "inc" });
          assert.deepEqual([...(reply ?? [])], [...THREE.slice(0, -1), 4], canisterId);
          const inc = profile.stacks.filter(({ frames }) => frames.includes("inc"));
          assert.ok(inc.length > 0, canisterId);
          assert.equal(
            profile.stacks.reduce((sum, stack) => sum + stack.instructions, 0n),
            instructions,
          );
        }
        const copy = await network.fork();
        assert.throws(() => copy.loadCanister(folder), { code: "call_rejected" });
        await copy.stop();
      } finally {
        await network.stop();
      }
    });

    test("is not made by half when something of it is refused", async () => {
      const network = await createNetwork();
      try {
        assert.throws(() => network.loadCanister(join(scratch, "none")), { code: "snapshot_folder_invalid" });
        assert.throws(() => network.loadCanister(folder, { as: "2vxsx-fae" }), {
          code: "canister_id_unknown",
        });
        // Refused when everything is there: taken away again, so that the next attempt finds the id free.
        const broken = join(scratch, "broken");
        cpSync(folder, broken, { recursive: true });
        const module = join(broken, "wasm_module.bin");
        writeFileSync(module, new Uint8Array(statSync(module).size));
        assert.throws(() => network.loadCanister(broken, { as: id }), /module/i);
        assert.equal(network.loadCanister(folder), id);
      } finally {
        await network.stop();
      }
    });

    describe("by the command, on a running network", () => {
      let network: Network;
      let elsewhere: IcpProject;
      before(async () => {
        network = await startNetwork();
        elsewhere = createIcpProject(network, {});
      });
      after(async () => {
        elsewhere.remove();
        await network.end("SIGTERM");
      });

      test("is called by icp, and what it did is traced", async () => {
        const at = ["--state-dir", network.stateDir];
        const loaded = await orrery("snapshot", "load", ...at, "--icp", folder, "--json");
        assert.equal(loaded.code, 0, loaded.err);
        assert.equal((JSON.parse(loaded.out) as { readonly canister_id: string }).canister_id, id);
        const foreign = FOREIGN[0] as string;
        const named = await orrery("snapshot", "load", ...at, "--icp", folder, "--as", foreign);
        assert.match(named.out, new RegExp(`${foreign}\\.localhost`), named.err);
        for (const each of [id, foreign]) {
          assert.match(await elsewhere.succeed("canister", "call", each, "inc", "()"), /\(3 : nat\)/);
        }
        const trace = await orrery("trace", id, ...at);
        assert.equal(trace.code, 0, trace.err);
        assert.match(trace.out, /update "inc": \d+ instructions/);
      });

      test("is profiled, and each of its calls traced, as if it had always lived here", async () => {
        const at = ["--state-dir", network.stateDir];
        for (const each of [id, FOREIGN[0] as string]) {
          const profiled = await orrery("profile", each, "add", "(39)", ...at, "--json");
          assert.equal(profiled.code, 0, profiled.err);
          const { reply, stacks, instructions } = JSON.parse(profiled.out) as {
            readonly reply: string;
            readonly instructions: string;
            readonly stacks: readonly { readonly frames: readonly string[]; readonly instructions: string }[];
          };
          // Nothing is left of the profiled call: three and thirty-nine, for each of the two.
          assert.equal(reply, "4449444c00017d2a");
          assert.ok(
            stacks.some(({ frames }) => frames[0] === `${each} update add` && frames.includes("add")),
          );
          assert.equal(
            `${stacks.reduce((sum, stack) => sum + BigInt(stack.instructions), 0n)}`,
            instructions,
          );
          const call = await elsewhere.succeed("canister", "call", each, "add", "(39 : nat)");
          assert.match(call, /\(42 : nat\)/);
          const traced = await orrery("trace", "last", ...at, "--json");
          assert.equal(traced.code, 0, traced.err);
          const { outcome } = JSON.parse(traced.out) as {
            readonly outcome: {
              readonly trace: { readonly instructions: string; readonly canister_id: string };
            };
          };
          assert.equal(outcome.trace.instructions, instructions);
        }
        const flame = join(scratch, "flame.html");
        const shown = await orrery("profile", id, "get", "--query", ...at, "--html", flame);
        assert.match(shown.out, /instructions +[\d,]+[\s\S]*get/, shown.err);
        assert.ok(statSync(flame).size > 1_000);
      });

      test("is refused in words where it cannot be", async () => {
        const at = ["--state-dir", network.stateDir];
        const again = await orrery("snapshot", "load", ...at, "--icp", folder);
        assert.equal(again.code, 1);
        assert.match(again.err, new RegExp(`${id} already exists.*delete that one first`, "s"));
        const nowhere = await orrery("snapshot", "load", "--state-dir", scratch, "--icp", folder);
        assert.match(nowhere.err, /no network is running/);
        const nameless = await orrery("snapshot", "load", ...at, "--icp", folder, "--as", "me");
        assert.match(nameless.err, /--as is "me", which is no canister's id/);
      });
    });
  });
}
nameWithoutIcp("a canister that icp downloaded elsewhere");
