/** Floor 5: every Node.js adapter. */
export * from "./directory-lock.ts";
export { answerEarly } from "./early-answer.ts";
export * from "./fast-crypto.ts";
export * from "./file-disk.ts";
export * from "./gateway-files.ts";
export * from "./http-server.ts";
export * from "./port-channel.ts";
export * from "./priority.ts";
export * from "./world.ts";
