/** What operators are told of intervals that ended without keys, and what to do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tellUnfinished } from "./unfinished-keys.ts";

const KEYS = { creates: 2, intervals: 3, dealings: 5, dealings_needed: 10, interval_needed: 28 };

test("a short interval is to be longer; of a long one nodes are missing", () => {
  const short = tellUnfinished("root", { ...KEYS, interval_length: 20 });
  assert.match(short, /^subnet root: the last 3 intervals, of 20 blocks, ended without keys of subnet 2/);
  assert.match(short, /5 of 10 dealings came together; have intervals of 28 blocks or more/);
  const own = tellUnfinished("root", { ...KEYS, creates: null, intervals: 1, interval_length: 500 });
  assert.match(own, /the last interval, of 500 blocks, ended without new keys of its nodes/);
  assert.match(own, /see whether all of its nodes run/);
});
