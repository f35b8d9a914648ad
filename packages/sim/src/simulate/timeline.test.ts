/** The page of rounds: every block where it was made and how far it came, faults where they were, and texts that stay texts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Recorder } from "../subnet/recorder.ts";
import { simulate } from "./simulate.ts";
import { timelineToHtml } from "./timeline.ts";

const OPTIONS = { seed: 1, nodesPerSubnet: 4, subnetCount: 1, rounds: 20, state: "hashes" } as const;

const count = (page: string, part: string): number => page.split(part).length - 1;

test("shows the blocks, who had them when, and what was wrong meanwhile", () => {
  const recorder = new Recorder();
  const faults = ["crash", "delay", "slow-node", "partition", "equivocate"];
  const watched = simulate({ ...OPTIONS, faults, recorders: [recorder] });
  // Watching changes nothing.
  assert.deepEqual(simulate({ ...OPTIONS, faults }), watched);
  const page = timelineToHtml([recorder], {
    title: "<b>rounds</b>",
    facts: [["verdict", watched.verdict]],
    faulty: watched.faultyNodes,
    members: 4,
  });
  assert.match(page, /&lt;b&gt;rounds/);
  const finals = recorder.blocks.filter(({ finalizedAt }) => finalizedAt !== null);
  assert.ok(finals.length >= 20 * 0.5, `${finals.length} blocks are final by themselves`);
  assert.equal(count(page, "<g><title>block "), recorder.blocks.length);
  assert.equal(new Set(recorder.deliveries.map(({ height }) => height)).size, watched.rounds);
  for (const kind of ["down", "slow", "cut"] as const) {
    assert.ok(
      recorder.spans.some((span) => span.kind === kind),
      kind,
    );
    assert.ok(count(page, `class="span ${kind}"`) > 1, kind);
  }
  assert.match(page, /misbehaves: equivocate from/);
  for (const { at, notarizedAt, finalizedAt } of recorder.blocks) {
    assert.ok(notarizedAt === null || notarizedAt >= at);
    assert.ok(finalizedAt === null || finalizedAt >= at);
  }
});
