/** When a process stops for another version of the program, and when it waits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OrreryError, SubnetId } from "@orrery/base";
import { silentLogger } from "@orrery/base";
import { encodeSummary } from "@orrery/consensus/member";
import { Upgrades } from "./upgrades.ts";

const NODE = new Uint8Array(29).fill(1) as never;
const EPOCH = { registryVersion: 1, members: [NODE], transcripts: { low: NODE, high: NODE } };
const idOf = (subnet: number): SubnetId => new Uint8Array(29).fill(subnet + 1) as unknown as SubnetId;

function packageFor(replicaVersion: string | undefined): never {
  const versions = replicaVersion === undefined ? {} : ({ replicaVersion, upgrades: true } as const);
  const summary = { length: 20, nextLength: 20, halts: false, ...versions, current: EPOCH, next: null };
  return { height: 40, block: { payload: { ingress: [], summary: encodeSummary(summary) } } } as never;
}

/** Of a process with a node of each of two subnets that runs 1.0.0. `wanted`: of each, as the registry has it. */
function upgradesOf(wanted: (string | null)[]) {
  const ended = Promise.withResolvers<OrreryError>();
  let settled = 0;
  let isOver = false;
  const upgrades = new Upgrades({
    hosted: [0, 1].map((subnet) => ({ subnet, subnetId: idOf(subnet) })),
    registry: (subnet) => {
      const to = wanted[subnet] ?? null;
      const upgrade = to === null ? null : { from: "1.0.0", to };
      return { upgrade, firstReplicaVersion: upgrade?.from ?? null };
    },
    async settle() {
      settled++;
    },
    logger: silentLogger,
    onFailure(error) {
      isOver = true;
      ended.resolve(error as OrreryError);
    },
    own: "1.0.0",
    lingerMs: 1,
  });
  return { upgrades, ended: ended.promise, settled: () => settled, isOver: () => isOver };
}

test("a process stops once the packages of all its subnets are for another version, with their states written down", async () => {
  const { upgrades, ended, settled, isOver } = upgradesOf(["2.0.0", "2.0.0"]);
  upgrades.superseded(0, packageFor("2.0.0"));
  assert.deepEqual(upgrades.of(0), { running: "1.0.0", wanted: "2.0.0", isSuperseded: true });
  assert.equal(upgrades.of(1).isSuperseded, false);
  // The other one still has to come to its package.
  assert.deepEqual([settled(), isOver()], [0, false]);
  upgrades.superseded(1, packageFor("2.0.0"));
  const { code, message, data } = await ended;
  assert.equal(code, "replica_version_differs");
  assert.match(message, /install 2\.0\.0/);
  assert.deepEqual(data, { running: "1.0.0", version: "2.0.0" });
  assert.equal(settled(), 1);
  upgrades.stop();
});

test("a subnet whose version nobody named keeps no process from stopping", async () => {
  const { upgrades, ended } = upgradesOf(["2.0.0", null]);
  upgrades.superseded(0, packageFor("2.0.0"));
  assert.equal((await ended).code, "replica_version_differs");
});

test("who runs what the registry names waits for its package, and stops where the registry names another one", async () => {
  const wanted: (string | null)[] = ["1.0.0", null];
  const { upgrades, ended, isOver } = upgradesOf(wanted);
  upgrades.superseded(0, packageFor("0.9.0"));
  upgrades.look();
  assert.equal(isOver(), false);
  wanted[0] = "1.1.0";
  upgrades.look();
  assert.deepEqual((await ended).data, { running: "1.0.0", version: "0.9.0" });
});

test("who takes the state of its version's package waits no more, and stops for no record that comes meanwhile", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const wanted: (string | null)[] = ["1.0.0", null];
  const { upgrades, settled } = upgradesOf(wanted);
  upgrades.superseded(0, packageFor("0.9.0"));
  upgrades.packaged(0);
  assert.equal(upgrades.of(0).isSuperseded, false);
  wanted[0] = "1.1.0";
  upgrades.look();
  t.mock.timers.tick(1_000);
  assert.equal(settled(), 0);
  // The next version's package.
  upgrades.packaged(0);
  upgrades.superseded(0, packageFor("1.1.0"));
  t.mock.timers.tick(1_000);
  assert.equal(settled(), 1);
});

test("before the first package it is what ran until the first upgrade", async () => {
  const { upgrades, ended } = upgradesOf(["3.0.0", null]);
  upgrades.superseded(0, null);
  assert.deepEqual((await ended).data, { running: "1.0.0", version: "1.0.0" });
});
