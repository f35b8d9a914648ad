/** Renderers of profiles: folded stacks, speedscope's format, the flame graph's page; what they say adds up to the profile. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { FunctionProfile } from "@orrery/wasm";
import {
  functionShares,
  type ProfileNode,
  profileOfTrace,
  profileToFolded,
  profileToSpeedscope,
  profileTotal,
  profileTree,
  renderFlameGraph,
} from "./index.ts";

const PROFILE: FunctionProfile = {
  stacks: [
    { frames: ["update go"], instructions: 10n },
    { frames: ["update go", "parse"], instructions: 30n },
    { frames: ["update go", "parse", "ic0.msg_arg_data_copy"], instructions: 500n },
    { frames: ["update go", "walk", "walk", "walk"], instructions: 7n },
    { frames: ["update go", "walk"], instructions: 3n },
    // The same once more, as two executions of one method give it.
    { frames: ["update go", "parse"], instructions: 12n },
  ],
};

describe("the tree of a profile", () => {
  test("has the largest first, each with its own and all below", () => {
    const tree = profileTree(PROFILE);
    assert.equal(tree.total, profileTotal(PROFILE));
    const [go] = tree.children;
    assert.ok(go !== undefined && tree.children.length === 1);
    assert.deepEqual([go.name, go.self, go.total], ["update go", 10n, 562n]);
    assert.deepEqual(
      go.children.map(({ name, self, total }) => [name, self, total]),
      [
        ["parse", 42n, 542n],
        ["walk", 3n, 10n],
      ],
    );
  });

  test("is as deep as its longest stack, and empty without any", () => {
    const depthOf = ({ children }: ProfileNode): number =>
      Math.max(0, ...children.map((c) => 1 + depthOf(c)));
    assert.equal(depthOf(profileTree(PROFILE)), 4);
    assert.deepEqual(profileTree({ stacks: [] }), { name: "", self: 0n, total: 0n, children: [] });
  });

  test("functions are counted in all of their places, and once where they call themselves", () => {
    assert.deepEqual(functionShares(PROFILE), [
      { name: "ic0.msg_arg_data_copy", self: 500n, total: 500n },
      { name: "parse", self: 42n, total: 542n },
      { name: "update go", self: 10n, total: 562n },
      { name: "walk", self: 10n, total: 10n },
    ]);
  });
});

describe("formats of other tools", () => {
  test("folded stacks: a line each, with nothing that would split it", () => {
    assert.equal(
      profileToFolded(PROFILE),
      "update go 10\nupdate go;parse 42\nupdate go;parse;ic0.msg_arg_data_copy 500\n" +
        "update go;walk;walk;walk 7\nupdate go;walk 3\n",
    );
    const odd = { stacks: [{ frames: ["a;b", "c\nd"], instructions: 1n }] };
    assert.equal(profileToFolded(odd), "a,b;c d 1\n");
  });

  test("speedscope: every sample names frames that there are, and the weights are the instructions", () => {
    const file = JSON.parse(profileToSpeedscope(PROFILE, { title: "go" }));
    assert.equal(file.$schema, "https://www.speedscope.app/file-format-schema.json");
    const { frames } = file.shared as { frames: { name: string }[] };
    assert.equal(new Set(frames.map(({ name }) => name)).size, frames.length);
    const [profile] = file.profiles as {
      type: string;
      unit: string;
      startValue: number;
      endValue: number;
      samples: number[][];
      weights: number[];
    }[];
    assert.ok(profile !== undefined);
    assert.deepEqual(
      [profile.type, profile.unit, profile.startValue, profile.endValue],
      ["sampled", "none", 0, 562],
    );
    assert.deepEqual(profile.weights, [10, 30, 500, 7, 3, 12]);
    assert.deepEqual(
      profile.samples.map((sample) => sample.map((index) => frames[index]?.name)),
      PROFILE.stacks.map((stack) => stack.frames),
    );
  });
});

describe("the flame graph's page", () => {
  const dataOf = (page: string): { names: string[]; tree: unknown[] } =>
    JSON.parse(/<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)?.[1] ?? "");

  test("carries its names once and the whole tree", () => {
    const { names, tree } = dataOf(renderFlameGraph(PROFILE));
    assert.equal(new Set(names).size, names.length);
    const sum = ([, self, ...children]: readonly unknown[]): number =>
      (self as number) + (children as unknown[][]).reduce((total, child) => total + sum(child), 0);
    assert.equal(sum(tree), 562);
  });

  test("takes names from a module for texts, whatever is in them", () => {
    const name = `</script><img src=x onerror="alert(1)">&`;
    const page = renderFlameGraph(
      { stacks: [{ frames: [name], instructions: 1n }] },
      { title: name, subtitle: name },
    );
    assert.ok(!page.includes("<img"));
    assert.deepEqual(dataOf(page).names, ["", name]);
    assert.ok(page.includes("&lt;/script&gt;&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;"));
  });

  test("asks nobody for anything, and its script is one that an engine takes", () => {
    const page = renderFlameGraph(PROFILE);
    assert.match(page, /default-src 'none'/);
    assert.doesNotMatch(page, /\b(src|href)=|@import|url\(/);
    const script = page.slice(page.lastIndexOf("<script>") + 8, page.lastIndexOf("</script>"));
    assert.doesNotThrow(() => new Function(script));
  });
});

test("a trace's profile has a frame for each execution, whosever it is", () => {
  const message = {
    subnetId: "s",
    height: 1,
    kind: "update",
    name: "go",
    answers: null,
    time: 0n,
    rounds: 1,
    instructions: 5n,
    pagesWritten: 0,
    cycles: 0n,
    error: null,
    backtrace: [],
    logs: [],
    response: null,
    calls: [],
  } as const;
  const profile = { stacks: [{ frames: ["f"], instructions: 5n }] };
  const callee = { canisterId: "b", cause: { kind: "call", from: "a", id: 1 }, instructions: 5n } as const;
  const call = { id: 0, callee: "b", method: "m", argBytes: 0, cycles: 0n, bestEffort: false };
  const trace = {
    canisterId: "a",
    cause: { kind: "task" },
    instructions: 10n,
    messages: [
      {
        ...message,
        profile,
        calls: [{ ...call, trace: { ...callee, messages: [{ ...message, name: "m", profile }] } }],
      },
      { ...message, kind: "reject_callback", name: "no such method", profile },
    ],
  } as const;
  assert.equal(
    profileToFolded(profileOfTrace(trace, { names: new Map([["b", "backend"]]) }) ?? { stacks: [] }),
    "a update go;f 5\nbackend update m;f 5\na reject callback;f 5\n",
  );
  assert.equal(profileOfTrace({ ...trace, messages: [message] }), null);
});
