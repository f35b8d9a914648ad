/** Certified data, environment variables, debugging aids (interface spec, sections of these names). */
import assert from "node:assert/strict";
import { numberOf, parseRelayed, textOf, utf8 } from "../bytes.ts";
import { section } from "../case.ts";
import {
  rejected,
  relayedReply,
  replied,
  repliedNumber,
  repliedNumbers,
  repliedText,
  trapped,
} from "../checks.ts";
import {
  append64,
  BIG,
  callOut,
  code,
  copied,
  HEAP_BYTES,
  ic0,
  op,
  reply,
  reply64,
  replyLog,
  setHook,
  times,
} from "../script.ts";
import { valueAt } from "../wire.ts";
import type { Universal, World } from "../world.ts";
import { OK } from "./environment-shared.testkit.ts";

const certified = section("Certified data");

const env = section("Environment variables");

const debug = section("Debugging aids");

certified("it is in the certificate that a query gets", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("certified", ic0.certified_data_set, ic0.msg_reply));
  const bytes = replied(await canister.query(copied("data_certificate"), reply));
  const certificate = await world.wire.verify(bytes, canister.destination);
  assert.equal(
    textOf(valueAt(certificate, "canister", canister.bytes, "certified_data") ?? undefined),
    "certified",
  );
});

certified("a fresh canister's is empty", async (world) => {
  const canister = await world.universal();
  const bytes = replied(await canister.query(copied("data_certificate"), reply));
  const certificate = await world.wire.verify(bytes, canister.destination);
  assert.equal(valueAt(certificate, "canister", canister.bytes, "certified_data")?.length, 0);
});

certified("the certificate tells the time", async (world) => {
  const canister = await world.shared();
  const certificate = await world.wire.verify(
    replied(await canister.query(copied("data_certificate"), reply)),
    canister.destination,
  );
  assert.ok(valueAt(certificate, "time") !== null);
});

certified("32 bytes may be set", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(new Uint8Array(32).fill(5), ic0.certified_data_set, ic0.msg_reply));
});

certified("33 bytes trap", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(new Uint8Array(33), ic0.certified_data_set, ic0.msg_reply),
    "must be no larger than 32 bytes. Found 33 bytes",
  );
});

certified("no bytes may be set", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("", ic0.certified_data_set, ic0.msg_reply));
});

certified("bytes behind the heap trap", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(HEAP_BYTES, 1, ic0.certified_data_set, ic0.msg_reply),
    "ic0_certified_data_set failed because src + size is out of bounds",
  );
});

certified("the last setting of a message holds", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("one", ic0.certified_data_set, "two", ic0.certified_data_set, ic0.msg_reply));
  assert.equal(await certifiedText(world, canister), "two");
});

certified("a trap takes the setting back", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("one", ic0.certified_data_set, ic0.msg_reply));
  rejected(await canister.update("two", ic0.certified_data_set, op.unreachable), { error: "IC0502" });
  assert.equal(await certifiedText(world, canister), "one");
});

certified("canister_init may set it", async (world) => {
  const canister = await world.fresh({ init: ["init", ic0.certified_data_set] });
  assert.equal(await certifiedText(world, canister), "init");
});

certified("an upgrade keeps it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("kept", ic0.certified_data_set, ic0.msg_reply));
  replied(await canister.upgrade());
  assert.equal(await certifiedText(world, canister), "kept");
});

certified("canister_pre_upgrade may set it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(setHook("pre_upgrade", "pre", ic0.certified_data_set), ic0.msg_reply));
  replied(await canister.upgrade());
  assert.equal(await certifiedText(world, canister), "pre");
});

certified("a reinstallation clears it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("gone", ic0.certified_data_set, ic0.msg_reply));
  replied(await canister.install({ reinstall: null }));
  assert.equal(await certifiedText(world, canister), "");
});

certified("a callback may set it", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      callOut({ to: canister.bytes, arg: OK, onReply: ["cb", ic0.certified_data_set, ic0.msg_reply] }),
    ),
  );
  assert.equal(await certifiedText(world, canister), "cb");
});

certified("a timer may set it", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", "tick", ic0.certified_data_set),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await world.eventually("the timer", async () =>
    (await certifiedText(world, canister)) === "tick" ? true : null,
  );
});

certified("it cannot be set in a query", async (world) => {
  trapped(
    await (await world.shared()).query("x", ic0.certified_data_set, ic0.msg_reply),
    "cannot be executed in non replicated query mode",
  );
});

certified("data_certificate_present is 1 in a query", async (world) => {
  repliedNumber(await (await world.shared()).query(ic0.data_certificate_present, reply64), 1);
});

certified("data_certificate_present is 0 in an update", async (world) => {
  repliedNumber(await (await world.shared()).update(ic0.data_certificate_present, reply64), 0);
});

certified("data_certificate_present is 0 in a query that is executed with replication", async (world) => {
  repliedNumber(await (await world.shared()).replicatedQuery(ic0.data_certificate_present, reply64), 0);
});

certified("data_certificate_present is 1 in a composite query", async (world) => {
  repliedNumber(await (await world.shared()).composite(ic0.data_certificate_present, reply64), 1);
});

certified("data_certificate_present is 0 in the callback of a composite query", async (world) => {
  const canister = await world.shared();
  repliedNumber(
    await canister.composite(
      callOut({
        to: canister.bytes,
        method: "query",
        arg: OK,
        onReply: [ic0.data_certificate_present, reply64],
      }),
    ),
    0,
  );
});

certified(
  "data_certificate_present is 0 in another canister's query that a composite query calls",
  async (world) => {
    const [canister, other] = [await world.shared(), await world.universal()];
    const outcome = await canister.composite(
      callOut({ to: other.bytes, method: "query", arg: code(ic0.data_certificate_present, reply64) }),
    );
    assert.equal(numberOf(relayedReply(outcome)), 0n);
  },
);

certified(
  "data_certificate_present is 1 in a query of its own that a composite query calls",
  async (world) => {
    const [canister, other] = [await world.shared(), await world.universal()];
    const asked = code(ic0.data_certificate_present, reply64);
    const own = callOut({ to: canister.bytes, method: "query", arg: asked });
    assert.equal(numberOf(relayedReply(await canister.composite(own))), 1n);
    // Also when the call comes back over another canister.
    const around = callOut({ to: other.bytes, method: "composite", arg: code(own) });
    const relayed = parseRelayed(relayedReply(await canister.composite(around)));
    assert.ok(relayed.kind === "reply" && numberOf(relayed.data) === 1n);
  },
);

certified("data_certificate_copy traps in an update", async (world) => {
  trapped(
    await (await world.shared()).update(BIG, 0, 1, ic0.data_certificate_copy, ic0.msg_reply),
    "cannot be executed in update mode",
  );
});

certified("data_certificate_copy traps one byte behind the certificate", async (world) => {
  trapped(
    await (await world.shared()).query(
      BIG,
      1,
      ic0.data_certificate_size,
      ic0.data_certificate_copy,
      ic0.msg_reply,
    ),
    "offset + size is out of bounds",
  );
});

certified("data_certificate_size traps where no certificate is", async (world) => {
  const [canister, other] = [await world.shared(), await world.universal()];
  const outcome = await canister.composite(
    callOut({ to: other.bytes, method: "query", arg: code(ic0.data_certificate_size, reply64) }),
  );
  assert.equal(replied(outcome)[0], 2);
});

async function certifiedText(world: World, canister: Universal): Promise<string> {
  const bytes = replied(await canister.query(copied("data_certificate"), reply));
  const certificate = await world.wire.verify(bytes, canister.destination);
  return textOf(valueAt(certificate, "canister", canister.bytes, "certified_data") ?? undefined);
}

const variables = [
  { name: "B", value: "second" },
  { name: "A", value: "first" },
  { name: "EMPTY", value: "" },
  { name: "ключ", value: "значение" },
];

async function withVariables(world: World): Promise<Universal> {
  return await world.fresh({ settings: { environment_variables: variables } });
}

const variable = (name: string | Uint8Array, size: number) => [
  name,
  BIG,
  0,
  size,
  ic0.env_var_value_copy,
  BIG,
  size,
  reply,
];

env("none are there by default", async (world) => {
  repliedNumber(await (await world.shared()).query(ic0.env_var_count, reply64), 0);
});

env("their count is what the settings say", async (world) => {
  repliedNumber(await (await withVariables(world)).query(ic0.env_var_count, reply64), 4);
});

env("a value is read by its name", async (world) => {
  repliedText(await (await withVariables(world)).query(...variable("A", 5)), "first");
});

env("a value beyond ASCII is read by its name", async (world) => {
  const size = utf8("значение").length;
  repliedText(await (await withVariables(world)).query(...variable("ключ", size)), "значение");
});

env("the size of a value is in bytes", async (world) => {
  repliedNumber(
    await (await withVariables(world)).query("ключ", ic0.env_var_value_size, reply64),
    utf8("значение").length,
  );
});

env("an empty value has size 0", async (world) => {
  repliedNumber(await (await withVariables(world)).query("EMPTY", ic0.env_var_value_size, reply64), 0);
});

env("names are enumerated by index, each once", async (world) => {
  const canister = await withVariables(world);
  const name = (i: number) => [
    i,
    BIG,
    0,
    i,
    ic0.env_var_name_size,
    ic0.env_var_name_copy,
    BIG,
    i,
    ic0.env_var_name_size,
    op.log_blob,
    "|",
    op.log_blob,
  ];
  const text = textOf(replied(await canister.query([0, 1, 2, 3].map(name), replyLog)));
  assert.deepEqual(text.split("|").filter(Boolean).sort(), ["A", "B", "EMPTY", "ключ"].sort());
});

env("env_var_name_exists tells what is there", async (world) => {
  const canister = await withVariables(world);
  repliedNumbers(
    await canister.query(
      "A",
      ic0.env_var_name_exists,
      append64,
      "C",
      ic0.env_var_name_exists,
      append64,
      ic0.msg_reply,
    ),
    1,
    0,
  );
});

env("an unknown name traps in env_var_value_size", async (world) => {
  trapped(
    await (await withVariables(world)).query("C", ic0.env_var_value_size, reply64),
    "Environment variable C not found.",
  );
});

env("an unknown name traps in env_var_value_copy", async (world) => {
  trapped(await (await withVariables(world)).query(...variable("C", 1)), "Environment variable C not found.");
});

env("an index behind the last traps", async (world) => {
  trapped(
    await (await withVariables(world)).query(4, ic0.env_var_name_size, reply64),
    "Environment variable index 4 is out of bounds. The number of environment variables is 4",
  );
});

env("a name of 128 bytes may be asked for", async (world) => {
  repliedNumber(await (await world.shared()).query("n".repeat(128), ic0.env_var_name_exists, reply64), 0);
});

env("a name of 129 bytes traps", async (world) => {
  trapped(
    await (await world.shared()).query("n".repeat(129), ic0.env_var_name_exists, reply64),
    "Variable name is too large",
  );
});

env("a name that is no UTF-8 traps", async (world) => {
  trapped(
    await (await world.shared()).query(Uint8Array.of(0xc3, 0x28), ic0.env_var_name_exists, reply64),
    "not a valid UTF-8 string",
  );
});

env("a value is copied from an offset", async (world) => {
  repliedText(
    await (await withVariables(world)).query("A", BIG, 2, 3, ic0.env_var_value_copy, BIG, 3, reply),
    "rst",
  );
});

env("a value's copy one byte behind it traps", async (world) => {
  trapped(await (await withVariables(world)).query(...variable("A", 6)), "ic0.env_var_value_copy value");
});

env("a name's copy one byte behind it traps", async (world) => {
  trapped(
    await (await withVariables(world)).query(0, BIG, 0, 50, ic0.env_var_name_copy, ic0.msg_reply),
    "ic0.env_var_name_copy name",
  );
});

env("they may be changed while the canister runs", async (world) => {
  const canister = await withVariables(world);
  await canister.configure({ environment_variables: [{ name: "A", value: "other" }] });
  repliedText(await canister.update(...variable("A", 5)), "other");
  repliedNumber(await canister.update(ic0.env_var_count, reply64), 1);
});

env("they survive a reinstallation", async (world) => {
  const canister = await withVariables(world);
  replied(await canister.install({ reinstall: null }));
  repliedText(await canister.query(...variable("A", 5)), "first");
});

env("canister_init sees them", async (world) => {
  const canister = await world.fresh({
    settings: { environment_variables: variables },
    init: [ic0.env_var_count, op.log64],
  });
  repliedNumber(await canister.query(replyLog), 4);
});

env("a 64-bit canister sees them", async (world) => {
  const canister = await world.fresh({ width: 64, settings: { environment_variables: variables } });
  repliedText(await canister.query(...variable("B", 6)), "second");
});

debug("debug_print never traps, wherever its text lies", async (world) => {
  repliedText(await (await world.shared()).query(HEAP_BYTES, 100, ic0.debug_print, ic0.msg_reply), "");
});

debug("a printed text is in the log", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("hello log", ic0.debug_print, ic0.msg_reply));
  assert.equal(await canister.log(), "hello log");
});

debug("a text of a trapping message is in the log", async (world) => {
  const canister = await world.universal();
  rejected(await canister.update("before the end", ic0.debug_print, op.unreachable), { error: "IC0502" });
  assert.match(await canister.log(), /before the end/);
});

debug("a query prints nothing into the log", async (world) => {
  const canister = await world.universal();
  replied(await canister.query("quiet", ic0.debug_print, ic0.msg_reply));
  assert.equal(await canister.log(), "");
});

debug("trap ends the message with its text", async (world) => {
  rejected(await (await world.shared()).query("stop here", ic0.trap), {
    code: 5,
    error: "IC0503",
    text: "Canister called `ic0.trap` with message: 'stop here'",
  });
});

debug("a trap with an empty text", async (world) => {
  rejected(await (await world.shared()).query("", ic0.trap), {
    code: 5,
    error: "IC0503",
    text: "with message: ''",
  });
});

debug("a trap whose text lies behind the heap still traps", async (world) => {
  rejected(await (await world.shared()).query(HEAP_BYTES, 10, ic0.trap), {
    code: 5,
    error: "IC0503",
    text: "(trap message out of memory bounds)",
  });
});

debug("a trap's text that is no UTF-8 is shown as well as possible", async (world) => {
  rejected(await (await world.shared()).query(Uint8Array.of(0x61, 0xff, 0x62), ic0.trap), {
    code: 5,
    error: "IC0503",
    text: "a\ufffdb",
  });
});

debug("a trap is in the log with its text", async (world) => {
  const canister = await world.universal();
  rejected(await canister.update("logged trap", ic0.trap), { error: "IC0503" });
  assert.match(await canister.log(), /\[TRAP\]: logged trap/);
});

debug("many prints leave the newest of them", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      times(200, ["x".repeat(100), ic0.debug_print]),
      "the last one",
      ic0.debug_print,
      ic0.msg_reply,
    ),
  );
  const log = await canister.log();
  assert.ok(log.length <= 4_096 && log.endsWith("the last one"));
});
