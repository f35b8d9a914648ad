/** Copies of networks that nodes keep: the entry `@orrery/sim/kept`. */
export { type CopyOptions, type CopyProgress, copyNetwork } from "./copy.ts";
