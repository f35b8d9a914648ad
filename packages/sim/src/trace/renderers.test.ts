/** Documents of traces: what Perfetto takes is whole and nests, a page holds what canisters said as text, texts are indented by cause. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Trace,
  type TraceCall,
  type TraceMessage,
  traceToHtml,
  traceToPerfetto,
  traceToText,
} from "./index.ts";
import { layoutOf } from "./layout.ts";

const HOSTILE = "</script><img src=x onerror=alert(1)>\u2028";

function message(options: Partial<TraceMessage> = {}): TraceMessage {
  return {
    ...{
      subnetId: "subnet-a",
      height: 7,
      kind: "update",
      name: "go",
      answers: null,
      time: 1_000n,
      rounds: 1,
    },
    ...{
      instructions: 100n,
      pagesWritten: 2,
      cycles: -5n,
      error: null,
      backtrace: [],
      logs: [],
      response: null,
    },
    calls: [],
    ...options,
  };
}

function call(id: number, trace: Trace | null, options: Partial<TraceCall> = {}): TraceCall {
  return { id, callee: "b", method: "add", argBytes: 3, cycles: 0n, bestEffort: false, trace, ...options };
}

function context(
  canisterId: string,
  messages: readonly TraceMessage[],
  cause: Trace["cause"] = { kind: "task" },
): Trace {
  const below = messages
    .flatMap(({ calls }) => calls)
    .reduce((sum, { trace }) => sum + (trace?.instructions ?? 0n), 0n);
  const instructions = messages.reduce((sum, one) => sum + one.instructions, below);
  return { canisterId, cause, messages, instructions };
}

/** A canister calls two others at once; one traps, the other is answered later, in a later round. */
function scene(): Trace {
  const failed = context(
    "b",
    [
      message({
        error: { code: "IC0503", message: `Canister trapped: ${HOSTILE}\nsecond line` },
        backtrace: ["inner", "outer"],
        logs: [`said ${HOSTILE}`],
        instructions: 50n,
      }),
    ],
    { kind: "call", from: "a", id: 1 },
  );
  const replied = context(
    "c",
    [message({ subnetId: "subnet-b", time: 5_000n, height: 3, response: { kind: "reply", bytes: 9 } })],
    { kind: "call", from: "a", id: 2 },
  );
  return context(
    "a",
    [
      message({
        name: HOSTILE,
        calls: [call(1, failed), call(2, replied, { callee: "c", cycles: 12n, bestEffort: true })],
      }),
      message({ kind: "reject_callback", name: "IC0503: …", answers: 1 }),
      message({
        kind: "reply_callback",
        name: null,
        answers: 2,
        time: 9_000n,
        height: 9,
        rounds: 3,
        response: { kind: "reply", bytes: 1 },
      }),
    ],
    { kind: "ingress", requestId: "ab12", sender: "2vxsx-fae" },
  );
}

interface Event {
  readonly ph: string;
  readonly name: string;
  readonly cat: string;
  readonly pid: number;
  readonly tid: number;
  readonly id: number;
  readonly ts: number;
  readonly dur: number;
  readonly bp?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

const eventsOf = (text: string): readonly Event[] => JSON.parse(text).traceEvents;

/** Half a nanosecond, in microseconds: what the format's numbers may be off. */
const EPSILON = 0.0005;

/** What Perfetto relies on. */
function checkPerfetto(text: string): readonly Event[] {
  const events = eventsOf(text);
  const slices = events.filter(({ ph }) => ph === "X");
  const named = events.filter(({ ph, name }) => ph === "M" && name === "thread_name");
  for (const { pid, tid, dur, args } of slices) {
    assert.ok(named.some((one) => one.pid === pid && one.tid === tid));
    assert.ok(dur > 0);
    assert.equal(typeof args["instructions"], "string");
  }
  for (const { pid, tid } of named) {
    const own = slices.filter((slice) => slice.pid === pid && slice.tid === tid).sort((a, b) => a.ts - b.ts);
    for (const [i, slice] of own.entries()) {
      const next = own[i + 1];
      assert.ok(next === undefined || slice.ts + slice.dur <= next.ts + EPSILON, "slices of a track overlap");
    }
  }
  const ids = new Set(events.filter(({ ph }) => ph === "s" || ph === "f").map(({ id }) => id));
  for (const id of ids) {
    const flow = events.filter((event) => event.id === id);
    const [start, finish, ...others] = flow as [Event, Event];
    assert.deepEqual([start.ph, finish.ph, finish.bp, others], ["s", "f", "e", []]);
    assert.ok(start.ts <= finish.ts + EPSILON, "a flow goes back in time");
    for (const { pid, tid, ts } of [start, finish]) {
      const within = slices.some(
        (slice) =>
          slice.pid === pid && slice.tid === tid && slice.ts <= ts + EPSILON && ts < slice.ts + slice.dur,
      );
      assert.ok(within, "an end of a flow is in no slice");
    }
  }
  return events;
}

test("what Perfetto gets: tracks by canister, slices that do not overlap, flows with both ends", () => {
  for (const axis of ["instructions", "time"] as const) {
    const events = checkPerfetto(traceToPerfetto([scene()], { axis, names: new Map([["b", "ledger"]]) }));
    const slices = events.filter(({ ph }) => ph === "X");
    assert.equal(slices.length, 5);
    const flows = events.filter(({ ph }) => ph === "s").map(({ cat, name }) => `${cat} ${name}`);
    assert.deepEqual(flows.sort(), ["call add", "call add", "response add", "response add"]);
    const names = events.filter(({ name }) => name === "thread_name").map(({ args }) => args["name"]);
    assert.deepEqual(names, ["a", "ledger (b)", "c"]);
    assert.equal(events.filter(({ name }) => name === "process_name").length, 2);
    const trap = slices.find(({ args }) => args["error"] !== undefined);
    assert.deepEqual(trap?.args["backtrace"], ["inner", "outer"]);
    // By instructions everything follows on what led to it; by time nothing is before its round.
    const last = Math.max(...slices.map(({ ts, dur }) => ts + dur));
    assert.equal(last, axis === "instructions" ? 0.35 : 8.1);
  }
  assert.deepEqual(eventsOf(traceToPerfetto([])), []);
});

test("the same of any tree", () => {
  const leaf = fc.record({ instructions: fc.bigInt(0n, 10_000n), time: fc.integer({ min: 0, max: 9 }) });
  const tree = fc.letrec<{ trace: Trace }>((tie) => ({
    trace: fc
      .tuple(
        fc.constantFrom("a", "b", "c"),
        leaf,
        fc.array(fc.option(tie("trace"), { depthSize: "small" }), { maxLength: 3 }),
      )
      .map(([canister, { instructions, time }, below]) => {
        const calls = below.map((trace, i) => call(i, trace, { callee: trace?.canisterId ?? "aaaaa-aa" }));
        const callbacks = calls.map(({ id }) =>
          message({ kind: "reply_callback", name: null, answers: id, time: BigInt(1_000 * (time + 1)) }),
        );
        const first = message({
          calls,
          instructions,
          time: BigInt(1_000 * time),
          response: { kind: "reply", bytes: 0 },
        });
        return context(canister, [first, ...callbacks]);
      }),
  })).trace;
  fc.assert(
    fc.property(fc.array(tree, { maxLength: 3 }), fc.constantFrom("instructions", "time"), (traces, axis) => {
      checkPerfetto(traceToPerfetto(traces, { axis }));
      const { spans } = layoutOf(traces, axis);
      // Nobody's work is lost: each canister is busy for as long as all its executions take.
      const busy = spans.reduce((sum, { start, end }) => sum + (end - start), 0);
      const least = spans.reduce((sum, { message: one }) => sum + Math.max(1, Number(one.instructions)), 0);
      assert.equal(busy, least);
    }),
    { numRuns: 60 },
  );
});

function dataOf(page: string): {
  readonly rows: readonly { readonly parent: number | null; readonly span: number | null }[];
} {
  const match = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page);
  assert.ok(match !== null);
  return JSON.parse(match[1] as string);
}

test("a page is one file, and texts of canisters stay texts", () => {
  const page = traceToHtml([scene()], {
    facts: [["status", `rejected "${HOSTILE}"`]],
    names: new Map([["a", HOSTILE]]),
  });
  assert.ok(page.startsWith("<!doctype html>"));
  assert.ok(!page.includes("<img"));
  assert.equal(page.match(/<script/g)?.length, 2);
  assert.equal(page.match(/<\/script>/g)?.length, 2);
  assert.match(page, /Content-Security-Policy" content="default-src 'none'/);
  assert.ok(
    !/<\w[^>]*\s(src|href)=/.test(
      page.replace(/<script type="application\/json" id="data">.*?<\/script>/s, ""),
    ),
  );
  const { rows } = dataOf(page);
  assert.equal(rows.length, 7);
  assert.deepEqual(
    rows.map(({ parent }) => parent),
    [null, 0, 1, 0, 3, null, null],
  );
  const spans = rows.flatMap(({ span }) => (span === null ? [] : [span]));
  assert.deepEqual(spans, [0, 1, 2, 3, 4]);
  assert.match(traceToHtml([]), /Nothing executed/);
});

test("as text, each line below what led to it", () => {
  const lines = traceToText([scene()], { names: new Map([["b", "ledger"]]) }).split("\n");
  assert.deepEqual(lines.slice(0, 8), [
    "ingress ab12 from 2vxsx-fae",
    `  a update ${JSON.stringify(HOSTILE)}: 100 instructions, 2 pages, -5 cycles, round 7`,
    '    → ledger "add" (3 bytes)',
    `      ledger update "go": 50 instructions, 2 pages, -5 cycles, round 7, failed: IC0503 Canister trapped: ${HOSTILE}`,
    "          at inner",
    "          at outer",
    `          | said ${HOSTILE}`,
    '    → c "add" (3 bytes, 12 cycles, best effort)',
  ]);
  assert.match(lines.at(-1) ?? "", /^ {2}a reply_callback: .* round 9, 3 rounds, replied with 1 bytes$/);
});
