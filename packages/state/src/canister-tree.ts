/**
 * What stands below `/canister/<id>` (interface spec, "Canister information"): a level that the canister's record alone decides. The metadata of
 * a module are one level, hashed once, below all canisters that have the module's record.
 */
import { compareBytes, encodeCbor, encodeUleb128, equalBytes, type Principal, utf8 } from "@orrery/base";
import { emptyTree, keepTreeHash, type LabelTree, type LevelChange, treeMerge } from "@orrery/crypto";
import type { CanisterMeta, InstalledModule } from "./types.ts";

export interface Leaf {
  readonly label: Uint8Array;
  readonly value: Uint8Array;
}

const LABELS = {
  certifiedData: utf8("certified_data"),
  controllers: utf8("controllers"),
  createdAt: utf8("canister_creation_timestamp"),
  installedAt: utf8("last_install_timestamp"),
} as const;
export const METADATA: Uint8Array = utf8("metadata");
export const MODULE_HASH: Uint8Array = utf8("module_hash");
/** Every label that may stand below `/canister/<id>`, apart from metadata. */
export const CANISTER_LEAVES: readonly Uint8Array[] = [...Object.values(LABELS), MODULE_HASH];

/** What was encoded last: canisters mostly have the controllers of the one before, and then share these bytes. */
let lastControllers: Uint8Array = new Uint8Array(0);

/** Tagged CBOR list of controllers in byte order. */
export function encodeControllers(controllers: readonly Principal[]): Uint8Array {
  const encoded = encodeCbor([...controllers].sort(compareBytes));
  if (!equalBytes(encoded, lastControllers)) lastControllers = encoded;
  return lastControllers;
}

/** Apart from metadata. */
export function canisterLeaves(meta: CanisterMeta): Leaf[] {
  const leaves: Leaf[] = [
    { label: LABELS.controllers, value: encodeControllers(meta.settings.controllers) },
    { label: LABELS.createdAt, value: encodeUleb128(meta.createdAt) },
  ];
  if (meta.module === null) return leaves;
  leaves.push(
    { label: LABELS.certifiedData, value: meta.certifiedData },
    { label: MODULE_HASH, value: meta.module.hash },
  );
  if (meta.installedAt !== null)
    leaves.push({ label: LABELS.installedAt, value: encodeUleb128(meta.installedAt) });
  return leaves;
}

const metadataLevels = new WeakMap<InstalledModule, LabelTree>();

function metadataLevel(module: InstalledModule): LabelTree {
  let level = metadataLevels.get(module);
  if (level === undefined) {
    const byName = new Map(module.metadata.map(({ name, content }) => [name, content]));
    level = levelOf([...byName].map(([name, value]) => ({ label: utf8(name), value })));
    keepTreeHash(level);
    metadataLevels.set(module, level);
  }
  return level;
}

function levelOf(entries: LevelChange[]): LabelTree {
  return treeMerge(emptyTree(), entries.sort(byLabel));
}

export function byLabel(a: { readonly label: Uint8Array }, b: { readonly label: Uint8Array }): number {
  return compareBytes(a.label, b.label);
}

/** The level of a canister. */
export function canisterTree(meta: CanisterMeta): LabelTree {
  const entries: LevelChange[] = canisterLeaves(meta);
  if (meta.module !== null && meta.module.metadata.length > 0)
    entries.push({ label: METADATA, value: metadataLevel(meta.module) });
  return levelOf(entries);
}
