/** What cases about certified state share. */
import assert from "node:assert/strict";
import { type CborMap, type CborValue, decodeCbor } from "@orrery/base";
import {
  decodeCertificate,
  type HashTree,
  type Lookup,
  listLabels,
  lookupPath,
  lookupSubtree,
} from "@orrery/crypto";
import { textOf, utf8 } from "../bytes.ts";
import type { Identity } from "../identity.ts";
import type { Universal, World } from "../world.ts";

export type Label = string | Uint8Array;

export const path = (...labels: readonly Label[]): Uint8Array[] =>
  labels.map((label) => (typeof label === "string" ? utf8(label) : label));

export interface Reading {
  readonly status: number;
  readonly text: string;
  readonly body: Uint8Array;
}

export async function reading(
  world: World,
  destination: string,
  paths: readonly (readonly Uint8Array[])[],
  options: {
    readonly as?: Identity;
    readonly version?: 2 | 3;
    readonly fields?: Record<string, CborValue>;
  } = {},
): Promise<Reading> {
  const request = world.sign("read_state", { paths, ...options.fields }, options.as ?? world.user);
  const answer = await world.wire.post(
    `/api/v${options.version ?? 3}/${destination}/read_state`,
    request.body,
  );
  return { status: answer.status, text: textOf(answer.body), body: answer.body };
}

export async function tree(...args: Parameters<typeof reading>): Promise<HashTree> {
  const answer = await reading(...args);
  assert.equal(answer.status, 200, answer.text);
  const bytes = (decodeCbor(answer.body) as CborMap).get("certificate") as Uint8Array;
  await args[0].wire.verify(bytes, args[1]);
  const certificate = decodeCertificate(bytes);
  assert.ok(certificate.ok);
  return certificate.value.tree;
}

export const found = (from: HashTree, ...labels: readonly Label[]): Uint8Array => {
  const value = lookupPath(from, path(...labels));
  assert.equal(value.kind, "found", labels.map(String).join("/"));
  return value.kind === "found" ? value.value : new Uint8Array();
};

export const kindOf = (from: HashTree, ...labels: readonly Label[]): Lookup<Uint8Array>["kind"] =>
  lookupPath(from, path(...labels)).kind;

export const refusedWith = (answer: Reading, status: number, text: RegExp | string): void => {
  assert.equal(answer.status, status, answer.text);
  assert.ok(typeof text === "string" ? answer.text.includes(text) : text.test(answer.text), answer.text);
};

/** Ids of the home subnet's nodes, as its own certificate lists them. */
export async function nodesOf(world: World): Promise<readonly Uint8Array[]> {
  const subnet = path("subnet", world.target.home.id.toUint8Array());
  const nodes = lookupSubtree(await tree(world, homeOf(world), [subnet]), [...subnet, utf8("node")]);
  return nodes.kind === "found" ? listLabels(nodes.value) : [];
}

export const homeOf = (world: World): string => `subnet/${world.target.home.id.toText()}`;

export const leaf = async (
  world: World,
  canister: Universal,
  name: string,
  as?: Identity,
): Promise<HashTree> =>
  await tree(
    world,
    canister.destination,
    [path("canister", canister.bytes, name)],
    as === undefined ? {} : { as },
  );
