/**
 * Motoko programs over installations of every mode (interface spec, "install_code" and "Upgrades", with the custom section
 * `enhanced-orthogonal-persistence`): which upgrades are allowed, and which keep what the program holds. What must happen is said by the
 * rules in `expectedOf`, what the two kinds of program do by their runtimes.
 */
import assert from "node:assert/strict";
import { IDL } from "@icp-sdk/core/candid";
import { motokoFixture } from "@orrery/canisters/fixtures";
import { section } from "../case.ts";
import { rejected, replied } from "../checks.ts";
import type { Universal, World } from "../world.ts";

const upgrades = section("Abstract behaviour: upgrades");
const install = section("Management: install_code");

const KINDS = ["classic", "enhanced"] as const;
type Kind = (typeof KINDS)[number];
const BEFORE = ["nothing", ...KINDS] as const;
const PERSISTENCE = [undefined, "keep", "replace"] as const;
const SKIP = [undefined, false, true] as const;
const HELD = 7n;

interface Row {
  readonly before: (typeof BEFORE)[number];
  readonly after: Kind;
  readonly mode: "install" | "reinstall" | "upgrade";
  readonly persistence?: (typeof PERSISTENCE)[number];
  readonly skip?: (typeof SKIP)[number];
}
/** An error code with words of its text, or what the program holds then. */
type Expected = readonly [error: string | readonly string[], text: RegExp] | bigint;

function expectedOf(row: Row): Expected {
  const { before, after, mode, persistence, skip = false } = row;
  if (mode === "reinstall") return 0n;
  if (mode === "install")
    return before === "nothing" ? 0n : [["IC0514", "IC0538"], /not empty|already installed/];
  if (before === "nothing") return ["IC0537", /no Wasm module/];
  if (persistence === undefined && before === "enhanced") return ["IC0504", /Missing upgrade option/];
  if (persistence === "keep" && after === "classic") return ["IC0504", /Invalid upgrade option/];
  // Classic programs write what they hold to stable memory before the upgrade, where enhanced ones refuse to find it.
  const wrote = before === "classic" && !skip;
  if (after === "classic") return wrote ? HELD : 0n;
  if (wrote) return ["IC0503", /implicit upgrade from classical orthogonal persistence/];
  // Enhanced programs tell before the upgrade where in the kept heap their data are.
  return before === "enhanced" && persistence === "keep" && !skip ? HELD : 0n;
}

const installAs = (world: World, canister: Universal, mode: unknown, kind: Kind) =>
  world.manage("install_code", {
    mode,
    canister_id: canister.id,
    wasm_module: motokoFixture("counter", kind).wasmGzip,
    arg: IDL.encode([], []),
  });
const held = async (canister: Universal): Promise<bigint> => {
  const outcome = await canister.ask(IDL.encode([], []), { method: "get" });
  return IDL.decode([IDL.Nat], replied(outcome))[0] as unknown as bigint;
};

async function check(world: World, row: Row): Promise<void> {
  const canister = await world.fresh({ install: false });
  if (row.before !== "nothing") {
    replied(await installAs(world, canister, { install: null }, row.before));
    replied(await canister.call(IDL.encode([IDL.Nat], [HELD]), { method: "set" }));
  }
  const options = {
    skip_pre_upgrade: row.skip,
    wasm_memory_persistence: row.persistence === undefined ? undefined : { [row.persistence]: null },
  };
  const mode = row.mode === "upgrade" ? { upgrade: options } : { [row.mode]: null };
  const outcome = await installAs(world, canister, mode, row.after);
  const expected = expectedOf(row);
  if (typeof expected === "bigint") {
    replied(outcome);
    assert.equal(await held(canister), expected);
    return;
  }
  const [error, text] = expected;
  rejected(outcome, { code: 5, error, text });
  // What failed left code and data as they were.
  if (row.before !== "nothing") assert.equal(await held(canister), HELD);
}

const rows = (mode: Row["mode"]): Row[] =>
  BEFORE.flatMap((before) => KINDS.map((after): Row => ({ before, after, mode })));
install.each(
  "a Motoko program is installed into an empty canister only, whatever it replaces",
  rows("install"),
  check,
);
install.each(
  "a Motoko program that is reinstalled holds nothing, whatever it replaces",
  rows("reinstall"),
  check,
);
upgrades.each(
  "upgrades of Motoko programs without options follow the old module's persistence",
  rows("upgrade"),
  async (world, { before, after }) => {
    const canister = await world.fresh({ install: false });
    if (before !== "nothing") replied(await installAs(world, canister, { install: null }, before));
    const outcome = await installAs(world, canister, { upgrade: null }, after);
    const expected = expectedOf({ before, after, mode: "upgrade" });
    if (typeof expected === "bigint") replied(outcome);
    else rejected(outcome, { code: 5, error: expected[0], text: expected[1] });
  },
);
for (const persistence of PERSISTENCE) {
  upgrades.each(
    `upgrades of Motoko programs, wasm_memory_persistence ${persistence ?? "absent"}: allowed and kept by the rules`,
    BEFORE.flatMap((before) =>
      KINDS.flatMap((after) =>
        SKIP.map((skip): Row => ({ before, after, mode: "upgrade", persistence, skip })),
      ),
    ),
    check,
  );
}
