/** Kinds of subnets as `--subnet` takes them, and their administrators: a list of the command's own, since reading the command line must not load the node. */
import { type Principal, principalFromText } from "@orrery/base";
import { InvalidArgumentError } from "commander";

const SUBNET_KINDS = ["application", "system", "verified_application", "cloud_engine"] as const;
export type SubnetKind = (typeof SUBNET_KINDS)[number];

/** Collects a repeated option. */
export function parseSubnetKind(text: string, before: readonly SubnetKind[] = []): readonly SubnetKind[] {
  const kind = SUBNET_KINDS.find((each) => each === text);
  if (kind === undefined) throw new InvalidArgumentError(`expected one of ${SUBNET_KINDS.join(", ")}.`);
  return [...before, kind];
}

/** Collects a repeated option. */
export function parseSubnetAdmin(text: string, before: readonly Principal[] = []): readonly Principal[] {
  try {
    return [...before, principalFromText(text)];
  } catch {
    throw new InvalidArgumentError("expected a principal, as icp identity principal prints it.");
  }
}
