/** The seed of a node, from which all of its secrets follow: made in its directory by its own process, readable by its owner only. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromHex, OrreryError, type Rng, toHex } from "@orrery/base";
import { NODE_KEY_FILE, nodeDirectory } from "@orrery/host/directory-content";
import { writeWhole } from "../state-files.ts";

const NODE_SEED_BYTES = 32;

/** Null where the node has none. `node_key_invalid` for a file that is none. */
export function readNodeSeed(directory: string): Uint8Array | null {
  const path = join(directory, NODE_KEY_FILE);
  if (!existsSync(path)) return null;
  const text = readFileSync(path, "utf8").trim();
  if (!/^[0-9a-f]+$/.test(text) || text.length !== 2 * NODE_SEED_BYTES) {
    throw new OrreryError(
      "node_key_invalid",
      `${path} holds no key of a node; restore it from a copy: without it the node has lost its share of its subnets' keys`,
    );
  }
  return fromHex(text);
}

export function newNodeSeed(rng: Rng): Uint8Array {
  return rng.bytes(NODE_SEED_BYTES);
}

/** Of the node at a place of the network, made once. */
export function nodeSeed(network: string, place: number, rng: Rng): Uint8Array {
  const directory = nodeDirectory(network, place);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const known = readNodeSeed(directory);
  if (known !== null) return known;
  const seed = newNodeSeed(rng);
  writeWhole(join(directory, NODE_KEY_FILE), `${toHex(seed)}\n`);
  return seed;
}
