/** A canister from a folder onto a network in process, call by call. */
import { OrreryError, type Principal } from "@orrery/base";
import { canisterIdOf, idOfFolder, openCanisterFolder, snapshotIdOf } from "@orrery/host/canister-folder";
import type { FolderLoader } from "./facade.ts";

/** `canister_id_unknown` when neither the caller nor the folder's name says which canister it is. */
function idFor(directory: string, as: string | null): Principal {
  const id = as === null ? idOfFolder(directory) : canisterIdOf(as);
  if (id !== null) return id;
  throw new OrreryError(
    "canister_id_unknown",
    as === null
      ? `the folder ${directory} does not say which canister it is of; name its id, { as: "…-cai" }, or name the folder after it`
      : `"${as}" is not a canister's id; give one such as "ryjl3-tyaaa-aaaaa-aaaba-cai"`,
  );
}

export const loadFolder: FolderLoader = (directory, as, manage, cycles) => {
  const folder = openCanisterFolder(directory);
  const id = idFor(directory, as);
  const call = ({ method, arg }: { readonly method: string; readonly arg: Uint8Array }): Uint8Array =>
    manage(method, arg);
  call(folder.creation(id, cycles));
  try {
    const snapshotId = snapshotIdOf(call(folder.metadata(id)));
    for (const piece of folder.data(id, snapshotId)) call(piece);
    for (const last of folder.restoration(id, snapshotId)) call(last);
  } catch (error) {
    remove(() => {
      for (const last of folder.removal(id)) call(last);
    });
    throw error;
  }
  return id;
};

/** What led to it is what the caller is told. */
function remove(what: () => void): void {
  try {
    what();
  } catch {
    // It has no cycles for that, and stays.
  }
}
