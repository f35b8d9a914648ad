/**
 * What the network under test is: its subnets, found as a stranger finds them (status, then certified paths of the root subnet),
 * and what it can do, found by asking. Nothing is assumed of the number of subnets or of ids.
 */

import { Principal } from "@icp-sdk/core/principal";
import { type CborMap, decodeCbor, utf8 } from "@orrery/base";
import {
  decodeCertificate,
  decodeRanges,
  type HashTree,
  listLabels,
  lookupPath,
  lookupSubtree,
} from "@orrery/crypto";
import { textOf } from "./bytes.ts";
import { ANONYMOUS, principalOfKey } from "./identity.ts";
import { contentOf, sign, type Wire } from "./wire.ts";

export interface Subnet {
  readonly id: Principal;
  readonly publicKey: Uint8Array;
  /** "application", "system", …; null where the network does not say. */
  readonly type: string | null;
  readonly ranges: readonly { readonly start: Uint8Array; readonly end: Uint8Array }[];
}

export interface Target {
  readonly root: Subnet;
  readonly subnets: readonly Subnet[];
  /** Where canisters are made: an application subnet, if there is one. */
  readonly home: Subnet;
  /** A canister id of the home subnet's ranges. */
  readonly near: Principal;
  /** A subnet of the kind that has administrators, and a canister id of its ranges. */
  readonly administered: { readonly id: Principal; readonly near: Principal } | null;
}

function found(tree: HashTree, ...path: readonly (string | Uint8Array)[]): Uint8Array | null {
  const value = lookupPath(
    tree,
    path.map((label) => (typeof label === "string" ? utf8(label) : label)),
  );
  return value.kind === "found" ? value.value : null;
}

/** The tree that the root subnet's endpoint reveals about all subnets. */
async function subnetTree(wire: Wire, rootId: Principal): Promise<HashTree> {
  const request = sign(
    ANONYMOUS,
    contentOf("read_state", ANONYMOUS.sender, {
      ingress_expiry: wire.expiry(),
      paths: [[utf8("subnet")]],
    }),
  );
  const answer = await wire.post(`/api/v2/subnet/${rootId.toText()}/read_state`, request.body);
  if (answer.status !== 200)
    throw new Error(`the root subnet is not readable: HTTP ${answer.status} ${textOf(answer.body)}`);
  const fields = decodeCbor(answer.body) as CborMap;
  const bytes = fields.get("certificate") as Uint8Array;
  await wire.verify(bytes, `subnet/${rootId.toText()}`);
  const certificate = decodeCertificate(bytes);
  if (!certificate.ok) throw new Error(certificate.error.message);
  return certificate.value.tree;
}

export async function discover(wire: Wire): Promise<Target> {
  const rootId = Principal.fromUint8Array(principalOfKey(wire.rootKey));
  const tree = await subnetTree(wire, rootId);
  const under = lookupSubtree(tree, [utf8("subnet")]);
  if (under.kind !== "found") throw new Error("the root subnet shows no subnets");
  const subnets = listLabels(under.value).map((id): Subnet => {
    const ranges = found(tree, "subnet", id, "canister_ranges");
    const decoded = ranges === null ? null : decodeRanges(ranges);
    return {
      id: Principal.fromUint8Array(id),
      publicKey: found(tree, "subnet", id, "public_key") ?? new Uint8Array(),
      type: textOf(found(tree, "subnet", id, "type") ?? undefined) || null,
      ranges: decoded?.ok === true ? decoded.value : [],
    };
  });
  const root = subnets.find(({ id }) => id.toText() === rootId.toText());
  const hosting = subnets.filter(({ ranges }) => ranges.length > 0);
  const home =
    hosting.find(({ type, id }) => type === "application" && id.toText() !== rootId.toText()) ?? hosting[0];
  const range = home?.ranges.at(-1);
  if (root === undefined || home === undefined || range === undefined)
    throw new Error("no subnet of the network has canister ranges");
  const engine = hosting.find(({ type }) => type === "cloud_engine");
  const administered =
    engine === undefined
      ? null
      : { id: engine.id, near: Principal.fromUint8Array(engine.ranges[0]?.start ?? range.start) };
  return { root, subnets, home, near: Principal.fromUint8Array(range.start), administered };
}
