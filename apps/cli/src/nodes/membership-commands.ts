/** The commands of `orrery node` by which operators change who the nodes of their network are. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Io } from "../io.ts";
import { parseSubnetKind } from "../subnet-kinds.ts";
import type { PeerAddress } from "./ceremony-files.ts";
import type { ApplyOptions, OfSubnets, ProposeOptions } from "./membership.ts";
import type { CommonOptions } from "./node-commands.ts";

const load = () => import("./membership.ts");
type StateDirOptions = Pick<ProposeOptions, "stateDir" | "json">;

/** `<value>` of all subnets, or `<subnet>=<value>`. */
function ofSubnets<T>(text: string, parse: (text: string) => T): OfSubnets<T> {
  const [, subnet, value = ""] = /^(?:(\d{1,4})=)?(.*)$/s.exec(text) ?? [];
  return { subnet: subnet === undefined ? null : Number(subnet), value: parse(value) };
}

/** The registry judges it; here only what is no version at all. */
function parseVersion(text: string): string {
  if (!/^\d+\.\d+\.\d+/.test(text)) throw new InvalidArgumentError("expected a version, such as 1.2.0.");
  return text;
}

const WHICH = "this operator's node, from 0; none where the state directory has one alone";

function addPropose(
  node: Command,
  { stateDir, json, parseCount }: Pick<CommonOptions, "stateDir" | "json" | "parseCount">,
  io: Io,
  done: (code: number) => void,
): void {
  const many =
    <T>(parse: (text: string) => T) =>
    (text: string, before: readonly T[] = []): readonly T[] => [...before, parse(text)];
  node
    .command("propose")
    .description(
      "write down who is to join or to leave, or what else is to change, for the operators to approve",
    )
    .argument("<file>", "to write")
    .argument("[place]", WHICH, parseCount)
    .addOption(
      new Option(
        "--create <kind>",
        "a subnet more; its nodes are among those to add, who applied for its number",
      ).argParser(parseSubnetKind),
    )
    .addOption(
      new Option("--add <file>", "an application; more than once for several").argParser(many(String)),
    )
    .addOption(new Option("--remove <node id>", "more than once for several").argParser(many(String)))
    .addOption(
      new Option("--halt <subnet>", "have a subnet, by its number, stand still").argParser(many(parseCount)),
    )
    .addOption(new Option("--resume <subnet>", "have it go on").argParser(many(parseCount)))
    .addOption(
      new Option(
        "--upgrade <[subnet=]version>",
        "have all subnets, or one, go on with another version of Orrery from the next summary",
      ).argParser(many((text) => ofSubnets(text, parseVersion))),
    )
    .addOption(
      new Option(
        "--from <version>",
        "what the network runs, if no upgrade named it yet (default: the version of this command)",
      ).argParser(parseVersion),
    )
    .addOption(
      new Option(
        "--interval <[subnet=]blocks>",
        "blocks from one summary to the next, from the interval on that the next summary names",
      ).argParser(many((text) => ofSubnets(text, parseCount))),
    )
    .addOption(stateDir())
    .addOption(json())
    .action(async (file: string, place: number | undefined, options: ProposeOptions) =>
      done(await (await load()).proposeChange(file, place, options, io)),
    );
}

export function addMembershipCommands(
  node: Command,
  common: Pick<CommonOptions, "stateDir" | "json" | "parseCount"> & {
    readonly parsePeer: (text: string) => PeerAddress;
  },
  io: Io,
  done: (code: number) => void,
): void {
  const { stateDir, json, parseCount, parsePeer } = common;
  node
    .command("apply")
    .description(
      "make a node that is to join a network, whose genesis.hex and peers.json the state directory has",
    )
    .argument("<file>", "to write, for an operator of the network")
    .argument("[place]", "number of its directory here, where there are several (default: one)", parseCount)
    .requiredOption("--address <host:port>", "where the other nodes reach this one", parsePeer)
    .addOption(
      new Option(
        "--subnet <subnet>",
        "of which it is to have a node, by number; more than once for several (default: all that the network began with)",
      ).argParser((text: string, before: readonly number[] = []) => [...before, parseCount(text)]),
    )
    .addOption(stateDir())
    .addOption(json())
    .action(async (file: string, place: number | undefined, options: ApplyOptions) =>
      done(await (await load()).applyNode(file, place, options, io)),
    );
  addPropose(node, { stateDir, json, parseCount }, io, done);
  const withPlace = (
    name: string,
    description: string,
    act: (file: string, place: number | undefined, options: StateDirOptions) => Promise<number>,
  ): Command =>
    node
      .command(name)
      .description(description)
      .argument("<file>", "of the proposal")
      .argument("[place]", WHICH, parseCount)
      .addOption(stateDir())
      .addOption(json())
      .action(async (file: string, place: number | undefined, options: StateDirOptions) =>
        done(await act(file, place, options)),
      );
  withPlace(
    "approve",
    "approve a proposal as the operator of one of the root subnet's nodes; with enough approvals the network follows it",
    async (file, place, options) => (await load()).approveChange(file, place, options, io),
  );
  withPlace("admit", "give a node that joins the records that list it", async (file, place, options) =>
    (await load()).admitNode(file, place, options, io),
  );
  node
    .command("registry")
    .description("show who the nodes of the network are, what they run, and how that came to be")
    .argument("[place]", WHICH, parseCount)
    .addOption(stateDir())
    .addOption(json())
    .action(async (place: number | undefined, options: StateDirOptions) =>
      done(await (await load()).showRegistry(place, options, io)),
    );
}
