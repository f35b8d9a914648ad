/** The commands of `orrery node`: processes of a network whose subnets have several nodes, one by one. */
import { type Command, Option } from "commander";
import type { Io } from "../io.ts";
import type { RunNodeOptions } from "./run-node.ts";

/** Options that other commands have as well. */
export interface CommonOptions {
  readonly stateDir: () => Option;
  readonly port: () => Option;
  readonly bind: () => Option;
  readonly keepRounds: () => Option;
  readonly parseCount: (text: string) => number;
}

export function addNodeCommands(
  program: Command,
  { stateDir, port, bind, keepRounds, parseCount }: CommonOptions,
  io: Io,
  done: (code: number) => void,
): void {
  const node = program.command("node").description("processes of a network whose subnets have several nodes");
  node
    .command("run")
    .description("run one of them until it is interrupted")
    .argument("<place>", "which one, from 0", parseCount)
    .addOption(stateDir())
    .addOption(port())
    .addOption(bind())
    .addOption(new Option("--host <name>", "name or address that clients reach the network under"))
    .addOption(keepRounds())
    .action(async (place: number, options: RunNodeOptions) =>
      done(await (await import("./run-node.ts")).runNode(place, options, io)),
    );
  // Of use to a process alone that carries what nodes say to each other: it starts them like this.
  node
    .command("found", { hidden: true })
    .argument("<place>", "which one, from 0", parseCount)
    .addOption(stateDir())
    .action(async (place: number, options: { readonly stateDir: string }) =>
      done(await (await import("./found-node.ts")).foundNode(place, options.stateDir, io)),
    );
}
