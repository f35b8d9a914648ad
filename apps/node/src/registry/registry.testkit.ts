/** A network of one process for each place, with a node of each of two subnets in it, and what its operators can do. */
import { compareBytes, type NodeId, selfAuthenticating, utf8 } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { createMclCurve } from "@orrery/crypto/mcl";
import { createNodeSigner } from "@orrery/host";
import { judgeNode, showNode } from "../founding/introduction.ts";
import { nodeSecretsOf } from "../founding/node-seed.ts";
import { nodeProcess } from "../topology.ts";
import {
  approvalContent,
  encodeRecord,
  type JoiningNode,
  type Mutation,
  type RegistryChange,
} from "./record.ts";
import { Registry } from "./registry.ts";

export const curve: Awaited<ReturnType<typeof createMclCurve>> = await createMclCurve();
const SUBNETS = 2;
export const GENESIS: Uint8Array = new Uint8Array(32).fill(7);

export const seedOf = (operator: number): Uint8Array => sha256(utf8(`operator ${operator}`));

export function nodeOf(operator: number, subnet: number): JoiningNode {
  return { subnet, ...showNode(curve, seedOf(operator), subnet) };
}

export const idOf = (operator: number, subnet: number): NodeId =>
  selfAuthenticating(nodeOf(operator, subnet).publicKey) as Uint8Array as NodeId;

export const addressOf = (operator: number): { readonly host: string; readonly port: number } => ({
  host: "127.0.0.1",
  port: 9_000 + operator,
});

export function registryOf(operators: number): Registry {
  const places = Array.from({ length: operators }, (_, place) => place);
  const subnets = Array.from({ length: SUBNETS }, (_, subnet) =>
    places.map((place) => ({ ...nodeOf(place, subnet), place, nodeId: idOf(place, subnet) })),
  );
  return new Registry({
    genesis: GENESIS,
    subnets: subnets.map((nodes) => ({ info: { nodes } })) as never,
    founders: subnets.map((nodes) =>
      nodes.map((node) => {
        const judged = judgeNode(curve, node);
        if (!judged.ok) throw new Error(judged.error);
        return judged.value;
      }),
    ),
    processes: places.map((place) =>
      nodeProcess(
        subnets.map((nodes) => nodes[place] as (typeof nodes)[number]),
        addressOf(place),
      ),
    ),
    intervalLength: 20,
    curve,
  });
}

/** As those operators approve it. */
export function approved(mutation: Mutation, operators: readonly number[]): Uint8Array {
  const approvals = operators
    .map((operator) => ({
      nodeId: idOf(operator, 0),
      signature: createNodeSigner(nodeSecretsOf(seedOf(operator), 0).signing)(approvalContent(mutation)),
    }))
    .sort((a, b) => compareBytes(a.nodeId, b.nodeId));
  return encodeRecord({ mutation, approvals });
}

export const joining = (operator: number): RegistryChange => ({
  kind: "join",
  address: addressOf(operator),
  nodes: Array.from({ length: SUBNETS }, (_, subnet) => nodeOf(operator, subnet)),
});

export const leaving = (operator: number, subnet: number): RegistryChange => ({
  kind: "leave",
  subnet,
  nodeId: idOf(operator, subnet),
});
