/**
 * A hash over everything of a replicated state: every record in its durable form, every page of every memory, every blob's name.
 * What the certified tree leaves out (memories, queues, call contexts, balances) is in it, so two replicas that agree on it agree
 * on all that can ever be observed. Costs the whole state; for tests and for comparing nodes.
 */
import { equalBytes, utf8 } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { encodeCanister, encodeIngressEntry, encodeSnapshot, encodeSystem } from "./codec/records.ts";
import type { PageReader } from "./page-reader.ts";
import { PAGE_BYTES, type PageTable } from "./page-table.ts";
import type { ReplicatedState } from "./types.ts";

/** Page numbers and contents; which versions they are does not matter, nor do pages that hold only zeros. */
export function memoryHash(table: PageTable, pages: PageReader): Uint8Array {
  const parts: Uint8Array[] = [];
  const page = new Uint8Array(PAGE_BYTES);
  const zeros = sha256(page);
  for (const [index, id] of table.entries()) {
    pages.read(id, page, 0);
    const hash = sha256(page);
    if (!equalBytes(hash, zeros)) parts.push(utf8(`${index}:`), hash);
  }
  return sha256(...parts);
}

function section(
  name: string,
  entries: Iterable<readonly [key: string, parts: readonly Uint8Array[]]>,
): Uint8Array {
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256(utf8(name), ...sorted.flatMap(([key, parts]) => [sha256(utf8(key)), ...parts]));
}

/** SHA-256, 32 bytes. `pages` reads the versions that the state's tables name. */
export function fullStateHash(state: ReplicatedState, pages: PageReader): Uint8Array {
  const canisters = [...state.canisters].map(([key, canister]) => {
    const { heap, stable } = canister.memory;
    return [
      key,
      [sha256(encodeCanister(canister)), memoryHash(heap, pages), memoryHash(stable, pages)],
    ] as const;
  });
  const snapshots = [...state.snapshots].map(([key, snapshot]) => {
    const { heap, stable, module } = snapshot.memory;
    const memories = [heap, stable, module].map((table) => memoryHash(table, pages));
    return [key, [sha256(encodeSnapshot(snapshot)), ...memories]] as const;
  });
  const ingress = [...state.ingressHistory].map(
    ([key, entry]) => [key, [sha256(encodeIngressEntry(entry))]] as const,
  );
  return sha256(
    sha256(encodeSystem(state)),
    section("canisters", canisters),
    section("snapshots", snapshots),
    section("ingress", ingress),
    section(
      "blobs",
      state.blobs.keys().map((key) => [key, []] as const),
    ),
  );
}
