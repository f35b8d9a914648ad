/** A chain of calls that is longer than any stack: every event is in a tree, and every document is made and says where it goes on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { principalFromText, principalToText } from "@orrery/base";
import type { TraceEvent } from "../instance/trace.ts";
import { profileOfTrace } from "../profile/index.ts";
import { traceToHtml, traceToPerfetto, traceToText, traceTrees, withContinuations } from "./index.ts";
import { layoutOf } from "./layout.ts";

const LEVELS = 5_000;
const ID = principalFromText("aaaaa-aa");
const CLOSURE = { fun: 1, env: 0n };

function event(level: number, options: Partial<TraceEvent>): TraceEvent {
  return {
    ...{
      subnetId: ID,
      canisterId: ID,
      height: level,
      time: BigInt(level),
      rounds: 1,
      kind: "update",
      name: "go",
    },
    ...{ contextId: level, closure: null, instructions: 1n, pagesWritten: 0, cycles: 0n, error: null },
    origin:
      level === 0
        ? { kind: "ingress", requestId: ID, sender: ID }
        : { kind: "call", from: ID, callbackId: level },
    ...{ logs: [], response: null, calls: [] },
    profile: { stacks: [{ frames: ["go"], instructions: 1n }] },
    ...options,
  };
}

/** 10,000 events: each level calls the next one, then all are answered from below. */
function chain(): readonly TraceEvent[] {
  const levels = Array.from({ length: LEVELS }, (_, level) => level);
  const call = { callee: ID, method: "go", argBytes: 0, cycles: 0n, bestEffort: false };
  return [
    ...levels.map((level) =>
      event(level, { calls: [{ ...call, callbackId: level + 1, reply: CLOSURE, reject: CLOSURE }] }),
    ),
    ...levels.toReversed().map((level) =>
      event(level, {
        ...{ kind: "reply_callback", name: null, closure: CLOSURE, time: BigInt(2 * LEVELS - level) },
        response: { kind: "reply", bytes: 0 },
      }),
    ),
  ];
}

test("a chain of 10,000 events is one root with continuations, in every form", () => {
  const traces = traceTrees(chain());
  const [trace] = traces;
  assert.ok(trace !== undefined && traces.length === 1);
  assert.equal(trace.cause.kind, "ingress");
  assert.equal(trace.instructions, BigInt(2 * LEVELS));
  const trees = withContinuations(trace);
  assert.equal(trees.length, Math.ceil(LEVELS / 256));
  assert.deepEqual(trees[1]?.cause, { kind: "call", from: principalToText(ID), id: 256 });
  // As threads and commands pass it on.
  assert.deepEqual(structuredClone(trace).instructions, trace.instructions);
  const json = JSON.stringify(traces, (_, value) => (typeof value === "bigint" ? `${value}` : value));
  assert.equal(json.match(/"isContinued":true/g)?.length, trees.length - 1);
  assert.equal(json.match(/"kind":"reply_callback"/g)?.length, LEVELS);

  const text = traceToText(traces);
  assert.equal(text.match(/ update "go": /g)?.length, LEVELS);
  assert.match(text, /→ aaaaa-aa "go" \(0 bytes, continued in a tree of its own, call 256\)\n/);
  assert.match(text, /\ncall 256 of aaaaa-aa\n {2}aaaaa-aa update /);

  const page = traceToHtml(traces);
  assert.equal(page.match(/"outcome":"\(continued in a tree of its own\)"/g)?.length, trees.length - 1);
  assert.ok(page.includes('["of","call 256 of aaaaa-aa"]'));

  const { traceEvents } = JSON.parse(traceToPerfetto(traces)) as { traceEvents: readonly { ph: string }[] };
  assert.equal(traceEvents.filter(({ ph }) => ph === "X").length, 2 * LEVELS);
  // Arrows cross the cuts: every call but the first, and every answer.
  assert.equal(traceEvents.filter(({ ph }) => ph === "s").length, 2 * LEVELS - 1);

  assert.equal(profileOfTrace(trace)?.stacks.length, 2 * LEVELS);
});

test("what continues a tree stands after its call and before its answer", () => {
  const { spans, links } = layoutOf(traceTrees(chain()), "instructions");
  for (const { from, to } of links) assert.ok((spans[from]?.end ?? 0) <= (spans[to]?.start ?? 0));
  const order = spans.toSorted((a, b) => a.start - b.start).map(({ message }) => message.height);
  assert.deepEqual(
    order,
    [...chain()].map(({ height }) => height),
  );
});
