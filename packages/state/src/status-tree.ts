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
let made: { readonly status: IngressStatus; readonly tree: LabelTree } | null = null;

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
  made = { status, tree: treeMerge(emptyTree(), leavesOf(status)) };
  return made.tree;
}

interface StatusChange {
  readonly path: readonly Uint8Array[];
  readonly value: Uint8Array | null;
}

const GONE: readonly StatusChange[] = [{ path: [], value: null }];

/** What turns the level of a request into another one, null where there is none; paths start at the level. */
export function statusChanges(was: LabelTree | null, now: LabelTree | null): readonly StatusChange[] {
  if (was === now) return [];
  if (now === null) return GONE;
  const changes: StatusChange[] = [];
  if (was !== null) {
    for (const { label } of treeEntries(was))
      if (treeGet(now, [label]) === null) changes.push({ path: [label], value: null });
  }
  for (const { label, value } of treeEntries(now)) {
    const old = was === null ? null : treeGet(was, [label]);
    if (!(value instanceof Uint8Array) || (old instanceof Uint8Array && equalBytes(old, value))) continue;
    changes.push({ path: [label], value });
  }
  return changes;
}
