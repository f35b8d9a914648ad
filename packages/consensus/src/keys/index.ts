/** Keys that no one ever holds, for members of consensus: the entry `@orrery/consensus/keys`. */
export * from "./dkg.ts";
export * from "./founding.ts";
export * from "./jobs.ts";
export * from "./member-crypto.ts";
