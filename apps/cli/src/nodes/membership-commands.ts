/** The commands of `orrery node` by which operators change who the nodes of their network are. */
import { type Command, Option } from "commander";
import type { Io } from "../io.ts";
import type { PeerAddress } from "./ceremony-files.ts";
import type { ApplyOptions, ProposeOptions } from "./membership.ts";
import type { CommonOptions } from "./node-commands.ts";

const load = () => import("./membership.ts");
type StateDirOptions = Pick<ProposeOptions, "stateDir" | "json">;

export function addMembershipCommands(
  node: Command,
  common: Pick<CommonOptions, "stateDir" | "json" | "parseCount"> & {
    readonly parsePeer: (text: string) => PeerAddress;
  },
  io: Io,
  done: (code: number) => void,
): void {
  const { stateDir, json, parseCount, parsePeer } = common;
  const which = "this operator's node, from 0; none where the state directory has one alone";
  const many =
    <T>(parse: (text: string) => T) =>
    (text: string, before: readonly T[] = []): readonly T[] => [...before, parse(text)];
  node
    .command("apply")
    .description(
      "make a node that is to join a network, whose genesis.hex and peers.json the state directory has",
    )
    .argument("<file>", "to write, for an operator of the network")
    .requiredOption("--address <host:port>", "where the other nodes reach this one", parsePeer)
    .addOption(stateDir())
    .addOption(json())
    .action(async (file: string, options: ApplyOptions) =>
      done(await (await load()).applyNode(file, options, io)),
    );
  node
    .command("propose")
    .description("write down who is to join or to leave, for the operators to approve")
    .argument("<file>", "to write")
    .argument("[place]", which, parseCount)
    .addOption(
      new Option("--add <file>", "an application; more than once for several").argParser(many(String)),
    )
    .addOption(new Option("--remove <node id>", "more than once for several").argParser(many(String)))
    .addOption(
      new Option("--halt <subnet>", "have a subnet, by its number, stand still").argParser(many(parseCount)),
    )
    .addOption(new Option("--resume <subnet>", "have it go on").argParser(many(parseCount)))
    .addOption(stateDir())
    .addOption(json())
    .action(async (file: string, place: number | undefined, options: ProposeOptions) =>
      done(await (await load()).proposeChange(file, place, options, io)),
    );
  const withPlace = (
    name: string,
    description: string,
    act: (file: string, place: number | undefined, options: StateDirOptions) => Promise<number>,
  ): Command =>
    node
      .command(name)
      .description(description)
      .argument("<file>", "of the proposal")
      .argument("[place]", which, parseCount)
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
    .description("show who the nodes of the network are, and how that came to be")
    .argument("[place]", which, parseCount)
    .addOption(stateDir())
    .addOption(json())
    .action(async (place: number | undefined, options: StateDirOptions) =>
      done(await (await load()).showRegistry(place, options, io)),
    );
}
