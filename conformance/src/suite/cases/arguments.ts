/** Method arguments, callers and self-identification (interface spec, "System API (Imports)"). */
import { section } from "../case.ts";
import { repliedNumber } from "../checks.ts";
import { code, ic0, reply64 } from "../script.ts";

const args = section("Method arguments");

args("msg_arg_data_size tells the argument's length", async (world) => {
  const canister = await world.shared();
  const program = code(ic0.msg_arg_data_size, reply64);
  repliedNumber(await canister.ask(program), program.length);
  repliedNumber(await canister.call(program), program.length);
});
