/** The `orrery` command of this repository as tests run it, wherever: to its end, or while it goes on. */
import { fileURLToPath } from "node:url";
import { type Command, launch, type Outcome, type Place } from "@orrery/host/command";

export const COMMAND: string = fileURLToPath(new URL("../../apps/cli/src/main.ts", import.meta.url));

export const launchOrrery = (place: Place, ...argv: readonly string[]): Command =>
  launch(place, process.execPath, COMMAND, ...argv);

export const orrery = (place: Place, ...argv: readonly string[]): Promise<Outcome> =>
  launchOrrery(place, ...argv).ended;
