/** `orrery trace --flame FILE`: the instructions of a trace by function, in the form that the file's name asks for. */
import { OrreryError } from "@orrery/base";
import type { TraceAnswer } from "@orrery/node/history";
import { profileOfTrace, profileToFolded, profileToSpeedscope, renderFlameGraph } from "@orrery/sim/profile";

/** Folded stacks for `.folded` and `.txt`, speedscope's document for `.json`, else a page. `profile_empty`. */
export function flameText(
  { outcome }: TraceAnswer,
  options: {
    readonly title?: string;
    readonly file: string;
    readonly names: ReadonlyMap<string, string>;
  },
): string {
  const { title, file, names } = options;
  const profile = outcome.trace === null ? null : profileOfTrace(outcome.trace, { names });
  if (profile === null) {
    throw new OrreryError(
      "profile_empty",
      "no canister executed anything for this message, so there is no flame graph of it; name another message",
    );
  }
  if (/\.(folded|txt)$/.test(file)) return profileToFolded(profile);
  if (file.endsWith(".json")) return profileToSpeedscope(profile, { title: title ?? "trace" });
  return renderFlameGraph(profile, title === undefined ? {} : { title });
}
