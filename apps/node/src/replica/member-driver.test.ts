/** What a member's driver makes of what was kept before a restart. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "@orrery/base";
import type { CatchUpPackage, MemberEnvironment } from "@orrery/consensus/member";
import { chain, crypto, NOTHING, ORIGIN, subnetId } from "./chain.testkit.ts";
import { MemberDriver, type MemberDriverOptions } from "./member-driver.ts";

const LENGTH = 4;

test("a package that was kept before the process went down is told again, before anything else", () => {
  const block = chain(LENGTH).at(-1)?.block;
  assert.ok(block !== undefined);
  const catchUp: CatchUpPackage = {
    kind: "catch_up",
    height: LENGTH,
    block,
    beacon: ORIGIN,
    stateHash: ORIGIN,
    signature: NOTHING,
  };
  const heard: string[] = [];
  const driverOf = (artifacts: readonly CatchUpPackage[]): MemberDriver => {
    const options: Partial<MemberDriverOptions> = {
      environment: {
        config: {
          subnetId,
          self: 0,
          members: 4,
          rules: { unitDelayNs: 1n, initialNotaryDelayNs: 1n, catchUpInterval: LENGTH },
        },
        crypto: { ...crypto, sign: () => NOTHING, signShare: () => NOTHING },
        registryVersion: () => 1,
      } as unknown as MemberEnvironment,
      start: {
        tip: { height: 0, hash: ORIGIN, time: 0n, certifiedHeight: 0, registryVersion: 1 },
        beacon: ORIGIN,
      },
      voice: { publish: () => {}, retract: () => {}, again: () => {}, report: () => {} },
      clock: { now: () => 1n } as MemberDriverOptions["clock"],
      logger: silentLogger,
      keep: () => void heard.push("kept"),
      purge: () => {},
      onPackage: ({ height }) => void heard.push(`package ${height}`),
      onFailure: (error) => assert.fail(error as Error),
    };
    return new MemberDriver(options as MemberDriverOptions, { artifacts, stateHeight: LENGTH });
  };
  const again = driverOf([catchUp]);
  again.begin();
  assert.equal(heard[0], `package ${LENGTH}`);
  again.stop();
  heard.length = 0;
  const fresh = driverOf([]);
  fresh.begin();
  assert.ok(heard.every((each) => each === "kept"));
  fresh.stop();
});
