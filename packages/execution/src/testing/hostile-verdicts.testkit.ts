/** What an installation of a module that is made to hurt must come to (texts of the replica). */

/** What an installation answers: nothing more to say, or `IC0505` with a text that begins like this. */
export type Verdict = "installed" | { readonly refused: string };

export interface HostileModule {
  readonly name: string;
  readonly wasm: () => Uint8Array;
  readonly verdict: Verdict;
  /** Takes seconds: for the long run only. */
  readonly slow?: boolean;
}

export const decoding = (why: string): Verdict => ({ refused: `Failed to decode wasm module: ${why}` });
/** What the replica finds out by walking the sections up to the code. */
export const framing = (why: string): Verdict => decoding(`Error finding code section: ${why}`);
export const invalid = (why: string): Verdict => ({
  refused: `Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with ${why}`,
});
export const PREFIX = "Wasm module ";
export const refused = (why: string): Verdict => ({ refused: `${PREFIX}${why}` });

export const METHODS =
  "`canister_update <name>`, `canister_query <name>`, or `canister_composite_query <name>`";
export const tooManyMethods = (count: number): Verdict => ({
  refused: `The number of exported functions called ${METHODS} is ${count} which exceeds 1000.`,
});
