/**
 * The sentence that the replica adds to a refusal of the management canister: what to try, and where it is written up. It stands
 * on a line of its own.
 */
const DOCS = "https://internetcomputer.org/docs/current/references/execution-errors#";

/** Help with a section of the documentation. */
export function help(suggestion: string, section: string): string {
  return userHelp(suggestion, `${DOCS}${section}`);
}

/** Help with a reference as the replica gives it, or none. */
export function userHelp(suggestion: string, reference = ""): string {
  return reference === "" ? `\n${suggestion}` : `\n${suggestion} See documentation: ${reference}`;
}
