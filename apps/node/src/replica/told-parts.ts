/** What a node tells a peer that asks for blocks or for parts of a state, and how blocks that were told are read. */
import { decodeCbor, type Height } from "@orrery/base";
import { BLOCKS_PER_ANSWER_MAX } from "./rules.ts";
import { decodeStateRequest } from "./state-wire.ts";
import type { Listener } from "./voice.ts";

export async function tellBlocks(
  listener: Listener | undefined,
  body: Uint8Array,
): Promise<readonly Uint8Array[]> {
  const from = readHeight(body);
  return from === null ? [] : ((await listener?.tellBlocks(from)) ?? []);
}

export async function tellState(
  listener: Listener | undefined,
  body: Uint8Array,
): Promise<readonly Uint8Array[]> {
  const request = decodeStateRequest(body);
  return request === null ? [] : ((await listener?.tellState(request)) ?? []);
}

function readHeight(body: Uint8Array): Height | null {
  try {
    const height = decodeCbor(body);
    return typeof height === "number" && Number.isSafeInteger(height) && height >= 0 ? height : null;
  } catch {
    return null;
  }
}

/** What is no list of blocks is read as a block, which it is not either: whoever takes it finds that out. */
export function readBlocks(body: Uint8Array): readonly Uint8Array[] {
  try {
    const list = decodeCbor(body);
    const isList = Array.isArray(list) && list.length > 0 && list.length <= BLOCKS_PER_ANSWER_MAX;
    return isList && list.every((each) => each instanceof Uint8Array) ? list : [body];
  } catch {
    return [body];
  }
}
