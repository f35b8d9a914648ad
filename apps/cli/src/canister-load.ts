/**
 * `orrery snapshot load --icp DIR`: a canister that was downloaded elsewhere comes onto a running network, with its state and under its own
 * id, to be called, traced and profiled here. What the folder does not hold, its settings and cycles, is the network's default.
 */
import { resolve } from "node:path";
import type { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as SdkPrincipal } from "@icp-sdk/core/principal";
import { OrreryError, type Principal, principalFromText, principalToText } from "@orrery/base";
import type { FolderCall } from "@orrery/host/canister-folder";
import { type Io, jsonDocument } from "./io.ts";
import { rejection } from "./project/deploy.ts";
import { withProgress } from "./project/progress.ts";
import { connect } from "./project/target.ts";
import { notRunning, resolveStateDir, runningNetwork } from "./state-files.ts";

export interface CanisterLoadOptions {
  readonly stateDir: string;
  readonly icp: string;
  readonly as?: string;
  readonly cycles?: bigint;
  readonly controller?: readonly string[];
  readonly url?: string;
  readonly json?: true;
}

/** Pieces under way at a time: each waits for a round, and a block takes as many. */
const PIECES_AT_ONCE = 8;
const MANAGEMENT = "aaaaa-aa";

const UpdateSettings = IDL.Record({
  canister_id: IDL.Principal,
  settings: IDL.Record({ controllers: IDL.Opt(IDL.Vec(IDL.Principal)) }),
});

function controllersOf(texts: readonly string[]): readonly Principal[] {
  return texts.map((text) => {
    try {
      return principalFromText(text);
    } catch (cause) {
      throw new OrreryError(
        "principal_invalid",
        `--controller is "${text}", which is no principal; give one such as "2vxsx-fae"`,
        { cause },
      );
    }
  });
}

function idOf(
  given: string | undefined,
  directory: string,
  ids: typeof import("@orrery/host/canister-folder"),
) {
  const id = given === undefined ? ids.idOfFolder(directory) : ids.canisterIdOf(given);
  if (id !== null) return id;
  throw new OrreryError(
    "canister_id_unknown",
    given === undefined
      ? `the folder ${directory} does not say which canister it is of; name its id with --as, or name the folder after it`
      : `--as is "${given}", which is no canister's id; give one such as "ryjl3-tyaaa-aaaaa-aaaba-cai"`,
  );
}

/** Replies to management calls about one canister. */
function caller(agent: HttpAgent, id: Principal): (call: FolderCall) => Promise<Uint8Array> {
  const effectiveCanisterId = SdkPrincipal.fromUint8Array(id);
  return async ({ method, arg }) => {
    try {
      const { reply } = await agent.update(MANAGEMENT, { methodName: method, arg, effectiveCanisterId });
      return reply;
    } catch (cause) {
      const text = rejection(cause);
      const remedy = text.includes("already exists")
        ? "; delete that one first, or bring the snapshot onto it with icp canister snapshot upload"
        : ` (in ${method})`;
      throw new OrreryError("canister_load_failed", `canister ${principalToText(id)}: ${text}${remedy}`, {
        cause,
      });
    }
  };
}

/** Makes the calls, several at a time. */
async function inParallel(
  calls: Iterable<FolderCall>,
  call: (one: FolderCall) => Promise<unknown>,
): Promise<void> {
  const queue = calls[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true; next = queue.next()) await call(next.value);
  };
  try {
    await Promise.all(Array.from({ length: PIECES_AT_ONCE }, work));
  } finally {
    // Closes the file that is being read.
    queue.return?.();
  }
}

export async function loadCanister(options: CanisterLoadOptions, io: Io): Promise<number> {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const directory = resolve(io.cwd, options.icp);
  const folders = await import("@orrery/host/canister-folder");
  const folder = folders.openCanisterFolder(directory);
  const id = idOf(options.as, directory, folders);
  const controllers = controllersOf(options.controller ?? []);
  const url = options.url ?? (await runningNetwork(stateDir))?.api_url;
  if (url === undefined) throw notRunning(stateDir);
  const { agent } = await connect(url);
  const call = caller(agent, id);
  await withProgress(io, "loading the canister", async () => {
    await call(folder.creation(id, options.cycles ?? null));
    try {
      const snapshotId = folders.snapshotIdOf(await call(folder.metadata(id)));
      await inParallel(folder.data(id, snapshotId), call);
      for (const last of folder.restoration(id, snapshotId)) await call(last);
      if (controllers.length > 0) await call(controlledBy(id, controllers));
    } catch (error) {
      for (const last of folder.removal(id)) await call(last).catch(() => {});
      throw error;
    }
  });
  const text = principalToText(id);
  if (options.json === true) {
    io.out(jsonDocument({ canister_id: text, directory, content_bytes: folder.bytes, url }));
    return 0;
  }
  const host = new URL(url);
  io.out(
    `Canister ${text} is here with its state. It answers at ${host.protocol}//${text}.localhost:${host.port}/\n`,
  );
  return 0;
}

function controlledBy(id: Principal, controllers: readonly Principal[]): FolderCall {
  const value = {
    canister_id: SdkPrincipal.fromUint8Array(id),
    settings: { controllers: [controllers.map((one) => SdkPrincipal.fromUint8Array(one))] },
  };
  return { method: "update_settings", arg: new Uint8Array(IDL.encode([UpdateSettings], [value])) };
}
