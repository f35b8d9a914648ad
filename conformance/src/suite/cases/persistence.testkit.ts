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
import { decodeResult } from "../management.ts";
import { ic0, op, setHook } from "../script.ts";
import type { Outcome } from "../wire.ts";
import type { Universal, World } from "../world.ts";
import { INSTALL, UPGRADE } from "./installation-shared.testkit.ts";

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

const EOP = { "icp:private enhanced-orthogonal-persistence": "" };
const KEEP = { upgrade: { wasm_memory_persistence: { keep: null } } };

const uploading = ({ world, id }: Universal, wasm_module: Uint8Array, mode: object): Promise<Outcome> =>
  world.manage("install_code", { mode, canister_id: id, wasm_module, arg: new Uint8Array() });

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

/** What is wrong with an upgrade besides its canister_pre_upgrade. */
const WRONG: readonly (readonly [string, (canister: Universal) => Promise<Outcome>])[] = [
  ["no module", (canister) => uploading(canister, Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 200), UPGRADE)],
  ["a missing option", (canister) => canister.install(UPGRADE, { sections: EOP })],
  ["an option that the new module does not allow", (canister) => canister.install(KEEP)],
];
upgrades.each(
  "a trap in canister_pre_upgrade is told, whatever is wrong with the new module",
  WRONG.map(([what, run]) => ({ what, run })),
  async (world, { run }) => {
    const canister = await world.fresh({ sections: EOP });
    replied(await canister.update(setHook("pre_upgrade", op.unreachable), ic0.msg_reply));
    rejected(await run(canister), { code: 5, error: "IC0502" });
  },
);
upgrades("without canister_pre_upgrade a missing option is told of what is no module", async (world) => {
  const canister = await world.fresh({ sections: EOP });
  rejected(await uploading(canister, new Uint8Array(9), { upgrade: { skip_pre_upgrade: true } }), {
    code: 5,
    error: "IC0504",
    text: "Missing upgrade option",
  });
});
install("what is no module costs cycles by its length", async (world) => {
  const canister = await world.fresh({ install: false });
  const spent = async (): Promise<bigint> => {
    const outcome = await world.manageQuery("canister_metrics", { canister_id: canister.id });
    return decodeResult("canister_metrics", replied(outcome)).cycles_consumed["instructions"] ?? 0n;
  };
  const costs: bigint[] = [];
  for (const bytes of [10_000, 20_000, 30_000]) {
    const before = await spent();
    rejected(await uploading(canister, new Uint8Array(bytes), INSTALL), { code: 5, error: "IC0505" });
    costs.push((await spent()) - before);
  }
  const [first = 0n, second = 0n, third = 0n] = costs;
  assert.equal(second - first, third - second);
  assert.ok(second - first > 0n, `${costs}`);
});
