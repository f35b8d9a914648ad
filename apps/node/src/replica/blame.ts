/** What becomes of a member of the subnet that says what no honest one does: its peers read it less, and the operator is told. */
import type { Logger } from "@orrery/base";
import type { Voice } from "./voice.ts";

export function blame(
  { voice, logger }: { readonly voice: Pick<Voice, "report">; readonly logger: Logger },
  member: number,
  why: string,
): void {
  voice.report(member, 0, true);
  logger.log("warn", "a member of the subnet misbehaves", { member, why });
}
