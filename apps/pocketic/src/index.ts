/** Floor 6: the PocketIC-protocol server. The public surface: a server as a function of requests, without its process. */
export { readCommandLine, versionText } from "./flags.ts";
export { serve } from "./process.ts";
