/** Profiled executions: the same outcome and the same memory as without, and profiles that add up to what is charged. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CanisterState } from "@orrery/state";
import { Bench, context } from "../testing/bench.testkit.ts";
import { STATEFUL } from "../testing/stateful.testkit.ts";
import type { MessageOutcome } from "../types.ts";

/** What an outcome says besides its profile, which has to be there and to add up. */
function checked({ profile, ...outcome }: MessageOutcome): Omit<MessageOutcome, "profile"> {
  assert.ok(profile !== undefined);
  const sum = profile.stacks.reduce((total, { instructions }) => total + instructions, 0n);
  assert.equal(sum, outcome.instructions);
  return outcome;
}

function pagesOf({ arena }: Bench, { memory, meta }: CanisterState): unknown {
  const { globals, heapPages, stablePages } = meta;
  const contents = [memory.heap, memory.stable].map((table) =>
    [...table.entries()].map(([index, id]) => [index, Buffer.from(arena.view(id)).toString("base64")]),
  );
  return { contents, globals, heapPages, stablePages };
}

/** Runs the same on a runner that profiles and on one that does not; gives the profile's outcome. */
class Twins {
  readonly plain: Bench = new Bench();
  readonly profiling: Bench = new Bench({ profiling: () => this.on });
  on = true;

  both(run: (bench: Bench) => MessageOutcome): MessageOutcome {
    const expected = run(this.plain);
    assert.equal(expected.profile, undefined);
    const outcome = run(this.profiling);
    if (this.on) assert.deepEqual(checked(outcome), expected);
    else assert.deepEqual(outcome, expected);
    return outcome;
  }
}

function framesOf({ profile }: MessageOutcome): string[] {
  return (profile?.stacks ?? []).map(({ frames }) => frames.join(";"));
}

const HOOKS = `
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (memory 1)
  (func $work (drop (call $grow (i64.const 1))) (i32.store (i32.const 0) (i32.const 7)))`;

const START = `(func $start (call $work)) (start $start)`;
const hook = (name: string, body = "(call $work)"): string => `(func (export "canister_${name}") ${body})`;

describe("profiling a message", () => {
  const METHODS = ["inc", "grow", "touch", "trap", "unreachable", "divide", "bounds", "growtrap", "spin"];

  test("changes neither outcome nor memory, and adds up, however the message ends", () => {
    const twins = new Twins();
    const canisters = new Map([twins.plain, twins.profiling].map((one) => [one, one.empty()]));
    const of = (bench: Bench): CanisterState => canisters.get(bench) as CanisterState;
    twins.both((bench) => bench.install(of(bench), STATEFUL));
    for (const method of METHODS) {
      const limit = { instructionLimit: 1_000_000n };
      twins.both((bench) => bench.update(of(bench), method, "", limit));
      assert.deepEqual(pagesOf(twins.profiling, of(twins.profiling)), pagesOf(twins.plain, of(twins.plain)));
    }
    // Instances of both forms take turns over one memory.
    for (const on of [false, true, false, true]) {
      twins.on = on;
      twins.both((bench) => bench.update(of(bench), "inc"));
      twins.both((bench) => bench.query(of(bench), "touch"));
      twins.both((bench) => bench.update(of(bench), "unreachable"));
      assert.deepEqual(pagesOf(twins.profiling, of(twins.profiling)), pagesOf(twins.plain, of(twins.plain)));
    }
  });

  test("is for the canisters that it is asked for", () => {
    const bench = new Bench({ profiling: (id) => id.at(7) === 2 });
    const [one, two] = [bench.installed(STATEFUL), bench.installed(STATEFUL)];
    assert.equal(bench.update(one, "inc").profile, undefined);
    assert.notEqual(bench.update(two, "inc").profile, undefined);
  });

  test("knows slices and drafts, and what is not committed at once", () => {
    const twins = new Twins();
    const canisters = new Map([twins.plain, twins.profiling].map((one) => [one, one.installed(STATEFUL)]));
    const of = (bench: Bench): CanisterState => canisters.get(bench) as CanisterState;
    const pace = { slice: 1_000n, report: (): void => {} };
    twins.both((bench) => bench.update(of(bench), "spin", "", { pace, instructionLimit: 500_000n }));
    twins.both((bench) =>
      bench.runner.execute(
        of(bench),
        { kind: "update", method: "inc", arg: new Uint8Array(0) },
        context({ pace }),
        100n,
      ),
    );
    twins.both((bench) => {
      const entry = { kind: "query", method: "touch", arg: new Uint8Array(0) } as const;
      return bench.runner.query(of(bench), entry, { context: context(), keepDraft: true }).outcome;
    });
  });
});

describe("profiling an installation", () => {
  test("has the start function and the hooks, old module and new", () => {
    const twins = new Twins();
    const canisters = new Map([twins.plain, twins.profiling].map((one) => [one, one.empty()]));
    const of = (bench: Bench): CanisterState => canisters.get(bench) as CanisterState;
    const first = `(module ${HOOKS} ${START} ${hook("init")} ${hook("pre_upgrade")})`;
    const second = `(module ${HOOKS} ${START} (func $other (call $work)) ${hook("post_upgrade", "(call $other)")})`;
    const installed = twins.both((bench) => bench.install(of(bench), first));
    assert.deepEqual(framesOf(installed), [
      "func[3]",
      "func[3];func[2]",
      "func[3];func[2];ic0.stable64_grow",
      "func[4]",
      "func[4];func[2]",
      "func[4];func[2];ic0.stable64_grow",
    ]);
    const upgraded = twins.both((bench) => bench.install(of(bench), second, { mode: "upgrade" }));
    assert.deepEqual(
      framesOf(upgraded).filter((frames) => !frames.includes("ic0")),
      [
        "func[5]",
        "func[5];func[2]",
        "func[3]",
        "func[3];func[2]",
        "func[5]",
        "func[5];func[4]",
        "func[5];func[4];func[2]",
      ],
    );
    assert.deepEqual(pagesOf(twins.profiling, of(twins.profiling)), pagesOf(twins.plain, of(twins.plain)));
    twins.both((bench) => bench.install(of(bench), `(module (memory 1))`, { mode: "reinstall" }));
  });

  for (const part of ["pre_upgrade", "start", "post_upgrade"] as const) {
    test(`adds up when ${part} traps`, () => {
      const twins = new Twins();
      const canisters = new Map([twins.plain, twins.profiling].map((one) => [one, one.empty()]));
      const of = (bench: Bench): CanisterState => canisters.get(bench) as CanisterState;
      const bad = (name: string): string =>
        name === part ? "(call $work) (drop (i32.load (i32.const -1)))" : "(call $work)";
      const old = `(module ${HOOKS} ${hook("init")} ${hook("pre_upgrade", bad("pre_upgrade"))})`;
      const next = `(module ${HOOKS} (func $start ${bad("start")}) (start $start) ${hook("post_upgrade", bad("post_upgrade"))})`;
      twins.both((bench) => bench.install(of(bench), old));
      const failed = twins.both((bench) => bench.install(of(bench), next, { mode: "upgrade" }));
      assert.notEqual(failed.error, null);
      assert.deepEqual(pagesOf(twins.profiling, of(twins.profiling)), pagesOf(twins.plain, of(twins.plain)));
    });
  }
});
