/**
 * What stands below `/request_status/<id>` (interface spec, "Request status"): a level of leaves that the status alone decides.
 */
import { encodeUleb128, equalBytes, utf8 } from "@orrery/base";
import {
  emptyTree,
  keepTreeHash,
  type LabelTree,
  type LevelChange,
  treeEntries,
  treeGet,
  treeMerge,
} from "@orrery/crypto";
import type { IngressStatus } from "./types.ts";

const LABELS = {
  errorCode: utf8("error_code"),
  rejectCode: utf8("reject_code"),
  rejectMessage: utf8("reject_message"),
  reply: utf8("reply"),
  status: utf8("status"),
} as const;

/** In label order. */
function leavesOf(status: IngressStatus): LevelChange[] {
  const last = { label: LABELS.status, value: utf8(status.kind) };
  switch (status.kind) {
    case "replied":
      return [{ label: LABELS.reply, value: status.reply }, last];
    case "rejected":
      return [
        { label: LABELS.errorCode, value: utf8(status.errorCode) },
        { label: LABELS.rejectCode, value: encodeUleb128(status.code) },
        { label: LABELS.rejectMessage, value: utf8(status.message) },
        last,
      ];
    default:
      return [last];
  }
}

/** What was made last: many answers are the one before, and then share its level and the hash of that. */
interface Made {
  readonly status: IngressStatus;
  readonly leaves: readonly LevelChange[];
  readonly tree: LabelTree;
}

let made: Made | null = null;

function sameStatus(a: IngressStatus, b: IngressStatus): boolean {
  if (a.kind === "replied") return b.kind === "replied" && equalBytes(a.reply, b.reply);
  return a.kind === b.kind && a.kind !== "rejected";
}

/** The level of a status. */
export function statusTree(status: IngressStatus): LabelTree {
  if (made !== null && sameStatus(made.status, status)) {
    keepTreeHash(made.tree);
    return made.tree;
  }
  const leaves = leavesOf(status);
  made = { status, leaves, tree: treeMerge(emptyTree(), leaves) };
  return made.tree;
}

/** A change of the level under a label, or, with null for a label, of the level itself: null where nothing is any more. */
export type Report = (label: Uint8Array | null, value: Uint8Array | null) => void;

/** Reports what turns the level of a request into another one, null where there is none. */
export function reportStatus(was: LabelTree | null, now: LabelTree | null, report: Report): void {
  if (was === now) return;
  if (now === null) {
    report(null, null);
    return;
  }
  if (was !== null) {
    for (const { label } of treeEntries(was)) if (treeGet(now, [label]) === null) report(label, null);
  }
  for (const { label, value } of made?.tree === now ? made.leaves : treeEntries(now)) {
    const old = was === null ? null : treeGet(was, [label]);
    if (!(value instanceof Uint8Array) || (old instanceof Uint8Array && equalBytes(old, value))) continue;
    report(label, value);
  }
}
