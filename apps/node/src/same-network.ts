/** Whether the network in a state directory is the one that is asked for. */
import { equalBytes, OrreryError, type Principal, principalToText } from "@orrery/base";
import type { SubnetType } from "@orrery/state";
import { encodeGenesis, type Genesis } from "./genesis.ts";
import type { MemberOptions, NodeOptions } from "./node.ts";

/** Of a network: what is decided once, when it begins. What is left out may be as it is. */
export interface Wanted extends Pick<NodeOptions, "subnets" | "subnetAdmins" | "member"> {
  readonly catchUpInterval?: number;
}

/** The nodes, the kinds of subnets, who administers them, and how often there are catch-up packages. */
export function requireSame(
  genesis: Genesis,
  { subnets, subnetAdmins, catchUpInterval, member }: Wanted,
): void {
  requireSameNetwork(genesis, member);
  requireSameSubnets(genesis, subnets);
  requireSameAdmins(genesis, subnetAdmins);
  requireSameInterval(genesis, catchUpInterval);
}

function requireSameNetwork(genesis: Genesis, member: MemberOptions | undefined): void {
  const nodes = Math.max(...genesis.subnets.map((subnet) => subnet.nodes ?? 1));
  // How many processes there may be is judged with what each of them hosts (`hostedByProcess`).
  const isSame =
    member === undefined ? nodes === 1 : equalBytes(encodeGenesis(genesis), member.own ?? member.genesis);
  if (isSame) return;
  throw new OrreryError(
    "genesis_differs",
    `the state directory is that of ${nodes === 1 ? "a network of one node" : `a node of a network of ${nodes}`}, not of ` +
      "this node's network: name the directory of this node, or discard the network with --clean",
  );
}

function requireSameSubnets(genesis: Genesis, wanted: readonly SubnetType[] | undefined): void {
  const [root, ...others] = genesis.subnets.map(({ type }) => type);
  if (wanted === undefined || (root === "system" && wanted.join() === others.join())) return;
  const has =
    others.length === 0
      ? `one ${root} subnet and no other`
      : `a root subnet and beside it ${others.join(", ")}`;
  throw new OrreryError(
    "subnets_differ",
    `the network in the state directory has ${has}, not ${wanted.join(", ")}: leave --subnet out to start it, ` +
      "discard it with --clean, or name another directory with --state-dir",
  );
}

function requireSameAdmins(genesis: Genesis, wanted: readonly Principal[] | undefined): void {
  const names = (admins: readonly Principal[]): string => admins.map(principalToText).sort().join(", ");
  const has = names(genesis.subnets.find(({ admins }) => admins !== undefined)?.admins ?? []);
  if (wanted === undefined || names(wanted) === has) return;
  throw new OrreryError(
    "subnets_differ",
    `the network in the state directory has ${has === "" ? "no administrators" : `the administrators ${has}`}, not ` +
      `${names(wanted)}: leave --subnet-admin out to start it, discard it with --clean, or name another directory with --state-dir`,
  );
}

function requireSameInterval({ catchUpInterval }: Genesis, wanted: number | undefined): void {
  if (wanted === undefined || wanted === catchUpInterval) return;
  throw new OrreryError(
    "subnets_differ",
    `the subnets in the state directory have a catch-up package each ${catchUpInterval} heights, not ${wanted}: leave ` +
      "--catch-up-interval out to start them, discard them with --clean, or name another directory with --state-dir",
  );
}
