/** Backtraces in logs and errors: what they tell, to whom, and that they tell the same however the engine runs the code. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import type { LogVisibility } from "@orrery/state";
import { shown, TEXT, transcript } from "../testing/backtrace.testkit.ts";
import { Bench, CONTROLLER, OTHER, wat } from "../testing/bench.testkit.ts";

const STACK = (n: number): string => `app::inner\ninner\nouter\nrun${n}\n`;

describe("backtraces", () => {
  const bench = new Bench();
  const canister = bench.installed(wat(TEXT, { names: true }));
  const run = (method: string, caller = CONTROLLER): ReturnType<typeof shown> =>
    shown(bench.update(canister, method, "", { caller }));

  test("follow the trap's text in the error and in the log", () => {
    const { error, log } = run("0");
    assert.equal(log, `[TRAP]: unreachable\nCanister Backtrace:\n${STACK(0)}`);
    assert.match(
      error,
      /^Canister trapped: unreachable\nCanister Backtrace:\napp::inner\ninner\nouter\nrun0\n\.\nConsider/,
    );
    assert.equal(run("1").log, `[TRAP]: oh\nCanister Backtrace:\n${STACK(1)}`);
    assert.ok(
      run("1").error.startsWith(
        `Canister called \`ic0.trap\` with message: 'oh'\nCanister Backtrace:\n${STACK(1)}.\n`,
      ),
    );
    assert.equal(run("2").log, `[TRAP]: heap out of bounds\nCanister Backtrace:\n${STACK(2)}`);
    assert.equal(run("3").log, `[TRAP]: integer division by 0\nCanister Backtrace:\n${STACK(3)}`);
  });

  test("begin with the stable memory import that failed", () => {
    assert.equal(
      run("4").log,
      `[TRAP]: stable memory out of bounds\nCanister Backtrace:\nstable64_write\n${STACK(4)}`,
    );
  });

  test("are bounded", () => {
    assert.equal(run("deep").log, `[TRAP]: unreachable\nCanister Backtrace:\n${"deep\n".repeat(20)}`);
  });

  test("are told to whom the log is open, and logged for the others", () => {
    const { settings } = canister.meta;
    const tells = (logVisibility: LogVisibility, caller = OTHER): boolean => {
      canister.meta.settings = { ...settings, logVisibility };
      const { error, log } = run("0", caller);
      assert.ok(log.includes(STACK(0)));
      assert.ok(error.startsWith("Canister trapped: unreachable"));
      return error.includes("Backtrace");
    };
    assert.equal(tells({ kind: "controllers" }), false);
    assert.equal(tells({ kind: "controllers" }, CONTROLLER), true);
    assert.equal(tells({ kind: "public" }), true);
    assert.equal(tells({ kind: "allowed_viewers", viewers: [OTHER] }), true);
    assert.equal(tells({ kind: "allowed_viewers", viewers: [CONTROLLER] }), false);
    canister.meta.settings = settings;
  });

  test("need names", () => {
    const plain = bench.installed(wat(TEXT));
    const { error, log } = shown(bench.update(plain, "0"));
    assert.equal(log, "[TRAP]: unreachable");
    assert.ok(error.startsWith("Canister trapped: unreachable.\n"));
  });

  test("tell the same on every tier of the engine", () => {
    const expected = transcript();
    const testkit = new URL("../testing/backtrace.testkit.ts", import.meta.url).href;
    const print = `process.stdout.write((await import(${JSON.stringify(testkit)})).transcript());`;
    for (const flag of ["--liftoff-only", "--no-liftoff", "--no-wasm-inlining"]) {
      const args = [flag, "--input-type=module", "-e", print];
      assert.equal(execFileSync(process.execPath, args, { encoding: "utf8" }), expected, flag);
    }
  });
});
