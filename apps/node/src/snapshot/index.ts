/** A whole network in a file: written and read back without a node. */
export { type LoadReport, loadSnapshot } from "./load.ts";
export { type SaveReport, saveSnapshot } from "./save.ts";
