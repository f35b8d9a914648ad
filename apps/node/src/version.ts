/** Version of the program: the packages' own, which move in lockstep. Nodes of a subnet run the one that its registry names. */
import manifest from "../package.json" with { type: "json" };

export const VERSION: string = manifest.version;
