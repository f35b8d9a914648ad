/** Floor 7: the `orrery` command, callable from tests and from other entry points. */
export { type Io, processIo } from "./io.ts";
export { EXIT_FAILURE, EXIT_OK, EXIT_USAGE, run } from "./run.ts";
