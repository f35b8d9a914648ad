/** What the imports do, one group at a time: responses, cycles, environment, certified data; calls and stable memory are apart. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { toHex, utf8 } from "@orrery/base";
import type { CanisterState } from "@orrery/state";
import { Bench, context, OTHER, reply, SUBNET } from "../testing/bench.testkit.ts";
import { failure, little, moduleText, ran } from "../testing/wat.testkit.ts";
import type { MessageOutcome } from "../types.ts";

describe("responses", () => {
  test("are given once, and only when one is due", () => {
    assert.match(
      failure(moduleText([], "(call $reply) (call $reply)")),
      /ic0\.msg_reply: the call is already replied/,
    );
    assert.match(failure(moduleText([], "(call $reply)"), { canRespond: false }), /already replied/);
    const appended = failure(moduleText([], "(call $reply) (call $append (i32.const 0) (i32.const 1))"));
    assert.match(appended, /ic0\.msg_reply_data_append: the call is already replied\./);
  });

  test("data without msg_reply is dropped", () => {
    assert.equal(
      ran(moduleText([], "(call $append (i32.const 0) (i32.const 3))")).outcome.effects?.response,
      null,
    );
  });

  test("are bounded: 2 MiB, 3 MiB for queries", () => {
    const body = (n: number) =>
      `(memory.grow (i32.const 60)) drop (call $append (i32.const 0) (i32.const ${n})) (call $reply)`;
    assert.match(
      failure(moduleText([], body(2_097_153))),
      /application payload size \(2097153\) cannot be larger than 2097152\.\.\nConsider checking/,
    );
    assert.equal(reply(ran(moduleText([], body(2_097_152))).outcome).length, 2_097_152);
    const bench = new Bench();
    assert.equal(
      reply(bench.query(bench.installed(moduleText([], body(3_145_728))), "run_q")).length,
      3_145_728,
    );
    assert.notEqual(bench.query(bench.installed(moduleText([], body(3_145_729))), "run_q").error, null);
  });

  test("rejects carry text", () => {
    const reject = moduleText(
      ["msg_reject(i32 i32)"],
      "(call $msg_reject (i32.const 0) (i32.const 2))",
      '(data (i32.const 0) "no")',
    );
    assert.deepEqual(ran(reject).outcome.effects?.response, { kind: "reject", message: "no" });
    const bad = moduleText(
      ["msg_reject(i32 i32)"],
      "(call $msg_reject (i32.const 0) (i32.const 1))",
      '(data (i32.const 0) "\\ff")',
    );
    assert.match(failure(bad), /ic0\.msg_reject: invalid UTF-8 string provided/);
  });
});

describe("cycles", () => {
  test("accepting takes what is there, at most what is asked for", () => {
    const text = moduleText(
      ["msg_cycles_accept128(i64 i64 i32)", "msg_cycles_available128(i32)", "msg_cycles_accept(i64) i64"],
      `(call $msg_cycles_accept128 (i64.const 0) (i64.const 30) (i32.const 0))
       (drop (call $msg_cycles_accept (i64.const 1000)))
       (call $msg_cycles_available128 (i32.const 16)) (call $append (i32.const 0) (i32.const 32)) (call $reply)`,
    );
    const { outcome } = ran(text, { cyclesAvailable: 100n });
    assert.equal(little(reply(outcome).subarray(0, 16)), 30n);
    assert.equal(little(reply(outcome).subarray(16)), 0n);
    assert.equal(outcome.effects?.cyclesAccepted, 100n);
  });

  test("burning stops at the freezing threshold", () => {
    const text = moduleText(
      ["cycles_burn128(i64 i64 i32)", "canister_liquid_cycle_balance128(i32)"],
      `(call $canister_liquid_cycle_balance128 (i32.const 0)) (call $cycles_burn128 (i64.const -1) (i64.const -1) (i32.const 16))
       (call $append (i32.const 0) (i32.const 32)) (call $reply)`,
    );
    const { outcome, canister } = ran(text);
    const bytes = reply(outcome);
    assert.equal(little(bytes.subarray(0, 16)), little(bytes.subarray(16)));
    assert.ok((outcome.effects?.cyclesBurned ?? 0n) < canister.meta.cycles);
  });

  test("64-bit getters trap above 2^64", () => {
    const text = moduleText(["canister_cycle_balance() i64"], "(drop (call $canister_cycle_balance))");
    const { outcome } = ran(text, {}, (canister) => {
      canister.meta.cycles = 1n << 64n;
    });
    assert.equal(outcome.error?.code, 502);
    assert.match(outcome.error?.message ?? "", /cycles amount exceeds 64-bit representation/);
  });

  test("only the cycles minting canister mints", () => {
    const text = moduleText(
      ["mint_cycles128(i64 i64 i32)"],
      "(call $mint_cycles128 (i64.const 0) (i64.const 1) (i32.const 0))",
    );
    assert.match(
      failure(text),
      /ic0\.mint_cycles128 cannot be executed on non Cycles Minting Canister: .* != rkp4c-7iaaa-aaaaa-aaaca-cai/,
    );
  });
});

describe("outcalls priced by use", () => {
  const Usage = IDL.Record({
    request_bytes: IDL.Nat64,
    http_roundtrip_time_ms: IDL.Nat64,
    raw_response_bytes: IDL.Nat64,
    transformed_response_bytes: IDL.Nat64,
    transform_instructions: IDL.Nat64,
    outcall_type: IDL.Opt(IDL.Variant({ non_replicated: IDL.Reserved, flexible: IDL.Opt(IDL.Nat32) })),
  });
  const quote = (params: Uint8Array): string =>
    moduleText(
      ["cost_http_request_v2(i32 i32 i32)", "subnet_self_node_count() i32"],
      `(call $cost_http_request_v2 (i32.const 0) (i32.const ${params.length}) (i32.const 1000))
       (i32.store (i32.const 1016) (call $subnet_self_node_count))
       (call $append (i32.const 1000) (i32.const 20)) (call $reply)`,
      `(data (i32.const 0) "${[...params].map((b) => `\\${b.toString(16).padStart(2, "0")}`).join("")}")`,
    );
  const params = (outcall_type: unknown[]): Uint8Array =>
    new Uint8Array(
      IDL.encode(
        [Usage],
        [
          {
            request_bytes: 100n,
            http_roundtrip_time_ms: 2_000n,
            raw_response_bytes: 1_000n,
            transformed_response_bytes: 500n,
            transform_instructions: 26n,
            outcall_type,
          },
        ],
      ),
    );

  test("are quoted from a Candid record, beside the number of nodes", () => {
    const bytes = reply(ran(quote(params([]))).outcome);
    assert.equal(little(bytes.subarray(0, 16)), 38_482_600n + 13n * 650_002n + 4_745_000n);
    assert.equal(little(bytes.subarray(16)), 13n);
    const single = reply(ran(quote(params([{ non_replicated: null }]))).outcome);
    assert.ok(little(single.subarray(0, 16)) < little(bytes.subarray(0, 16)));
    assert.match(failure(quote(utf8("garbage"))), /Failed to decode HttpRequestV2CostParams from Candid: /);
  });
});

describe("environment", () => {
  test("ids, time, version, status, controllers, root key", () => {
    const text = moduleText(
      [
        "canister_self_copy(i32 i32 i32)",
        "subnet_self_size() i32",
        "time() i64",
        "canister_version() i64",
        "canister_status() i32",
        "is_controller(i32 i32) i32",
        "msg_caller_copy(i32 i32 i32)",
        "root_key_size() i32",
        "in_replicated_execution() i32",
      ],
      `(call $canister_self_copy (i32.const 0) (i32.const 0) (i32.const 10))
       (i32.store8 (i32.const 10) (call $subnet_self_size)) (i32.store8 (i32.const 11) (call $canister_status))
       (call $msg_caller_copy (i32.const 64) (i32.const 0) (i32.const 1))
       (i32.store8 (i32.const 12) (call $is_controller (i32.const 64) (i32.const 1)))
       (i32.store8 (i32.const 13) (call $is_controller (i32.const 64) (i32.const 2)))
       (i32.store8 (i32.const 14) (call $root_key_size)) (i32.store8 (i32.const 15) (call $in_replicated_execution))
       (i64.store (i32.const 16) (call $time)) (i64.store (i32.const 24) (call $canister_version))
       (call $append (i32.const 0) (i32.const 32)) (call $reply)`,
    );
    const { outcome, canister } = ran(text, { time: 77n });
    const bytes = reply(outcome);
    assert.deepEqual(bytes.slice(0, 10), new Uint8Array(canister.meta.id));
    assert.deepEqual([...bytes.subarray(10, 16)], [SUBNET.subnetId.length, 1, 1, 0, 133, 1]);
    assert.equal(little(bytes.subarray(16, 24)), 77n);
    assert.equal(little(bytes.subarray(24, 32)), 1n);
    assert.match(
      failure(
        moduleText(
          ["is_controller(i32 i32) i32"],
          "(drop (call $is_controller (i32.const 0) (i32.const 30)))",
        ),
      ),
      /provided invalid principal id/,
    );
  });

  test("caller and caller info", () => {
    const text = moduleText(
      [
        "msg_caller_size() i32",
        "msg_caller_info_data_size() i32",
        "msg_caller_info_signer_copy(i32 i32 i32)",
      ],
      `(i32.store8 (i32.const 0) (call $msg_caller_size)) (i32.store8 (i32.const 1) (call $msg_caller_info_data_size))
       (call $msg_caller_info_signer_copy (i32.const 2) (i32.const 0) (i32.const 2)) (call $append (i32.const 0) (i32.const 4)) (call $reply)`,
    );
    const { outcome } = ran(text, { caller: OTHER, callerInfo: { info: new Uint8Array(5), signer: OTHER } });
    assert.deepEqual([...reply(outcome)], [OTHER.length, 5, 0xab, 0xcd]);
  });

  test("the timer answers its previous value", () => {
    const text = moduleText(
      ["global_timer_set(i64) i64"],
      `(i64.store (i32.const 0) (call $global_timer_set (i64.const 5))) (i64.store (i32.const 8) (call $global_timer_set (i64.const 0)))
       (call $append (i32.const 0) (i32.const 16)) (call $reply)`,
    );
    const { outcome } = ran(text, {}, (canister) => {
      canister.meta.globalTimer = 3n;
    });
    assert.equal(little(reply(outcome).subarray(0, 8)), 3n);
    assert.equal(little(reply(outcome).subarray(8)), 5n);
    assert.equal(outcome.effects?.globalTimer, 0n);
  });

  test("certified data of at most 32 bytes, certificates in queries only", () => {
    const set = (n: number): string =>
      moduleText(
        ["certified_data_set(i32 i32)"],
        `(call $certified_data_set (i32.const 0) (i32.const ${n}))`,
      );
    assert.equal(ran(set(32)).outcome.effects?.certifiedData?.length, 32);
    assert.match(failure(set(33)), /no larger than 32 bytes\. Found 33 bytes\.\.\nTry certifying/);
    const bench = new Bench();
    const certificate = utf8("certificate");
    const canister = bench.installed(
      moduleText(
        [
          "data_certificate_present() i32",
          "data_certificate_size() i32",
          "data_certificate_copy(i32 i32 i32)",
        ],
        `(drop (call $data_certificate_present)) (call $data_certificate_copy (i32.const 0) (i32.const 4) (i32.const 7))
         (call $append (i32.const 0) (i32.const 7)) (call $reply)`,
      ),
    );
    assert.deepEqual(
      reply(bench.query(canister, "run_q", "", { dataCertificate: certificate })),
      utf8("ificate"),
    );
    assert.match(
      bench.query(canister, "run_q").error?.message ?? "",
      /"ic0_data_certificate_copy" cannot be executed in non replicated query mode/,
    );
  });

  test("environment variables by index and by name", () => {
    const imports = [
      "env_var_count() i32",
      "env_var_name_size(i32) i32",
      "env_var_name_copy(i32 i32 i32 i32)",
      "env_var_name_exists(i32 i32) i32",
      "env_var_value_size(i32 i32) i32",
      "env_var_value_copy(i32 i32 i32 i32 i32)",
    ];
    const set = (canister: CanisterState): void => {
      const environmentVariables = [
        { name: "A", value: "one" },
        { name: "Bee", value: "two" },
      ];
      canister.meta.settings = { ...canister.meta.settings, environmentVariables };
    };
    const text = moduleText(
      imports,
      `(i32.store8 (i32.const 64) (call $env_var_count)) (i32.store8 (i32.const 65) (call $env_var_name_size (i32.const 1)))
       (i32.store8 (i32.const 66) (call $env_var_name_exists (i32.const 0) (i32.const 3)))
       (i32.store8 (i32.const 67) (call $env_var_name_exists (i32.const 0) (i32.const 2)))
       (call $env_var_name_copy (i32.const 1) (i32.const 68) (i32.const 0) (i32.const 3))
       (call $env_var_value_copy (i32.const 0) (i32.const 3) (i32.const 71) (i32.const 0) (i32.const 3))
       (call $append (i32.const 64) (i32.const 10)) (call $reply)`,
      '(data (i32.const 0) "Bee")',
    );
    assert.equal(toHex(reply(ran(text, {}, set).outcome)), `02030100${toHex(utf8("Beetwo"))}`);
    const missing = moduleText(
      imports,
      "(drop (call $env_var_value_size (i32.const 0) (i32.const 3)))",
      '(data (i32.const 0) "Nil")',
    );
    assert.match(failure(missing), /^Error from Canister [a-z0-9-]+: Environment variable Nil not found\.$/);
    assert.match(
      failure(moduleText(imports, "(drop (call $env_var_name_size (i32.const 4)))")),
      /Environment variable index 4 is out of bounds/,
    );
    const long = moduleText(imports, "(drop (call $env_var_name_exists (i32.const 0) (i32.const 129)))");
    assert.match(failure(long), /ic0\.env_var_name_exists: Variable name is too large\./);
  });

  test("inspection sees the method and accepts once", () => {
    const bench = new Bench();
    const text = (body: string): string => `(module
      (import "ic0" "accept_message" (func $accept)) (import "ic0" "msg_method_name_size" (func $size (result i32)))
      (memory 1) (func (export "canister_inspect_message") ${body}))`;
    const inspect = (body: string, method: string): MessageOutcome => {
      const canister = bench.installed(text(body));
      return bench.runner.inspect(
        canister,
        { kind: "inspect_message", method, arg: new Uint8Array(0) },
        context({ canRespond: false }),
      );
    };
    const onlyShort = "(if (i32.lt_u (call $size) (i32.const 4)) (then (call $accept)))";
    assert.equal(inspect(onlyShort, "abc").effects?.accepted, true);
    assert.equal(inspect(onlyShort, "abcd").effects?.accepted, false);
    assert.match(
      inspect("(call $accept) (call $accept)", "a").error?.message ?? "",
      /ic0\.accept_message: the function was already called\./,
    );
  });
});

describe("hostile sizes", () => {
  test("gigabytes where bytes are expected are refused before they are copied", () => {
    const grow = "(drop (memory.grow (i32.const 32767)))";
    const imports = [
      "call_new(i32 i32 i32 i32 i32 i32 i32 i32)",
      "cost_sign_with_ecdsa(i32 i32 i32 i32) i32",
      "trap(i32 i32)",
      "debug_print(i32 i32)",
      "is_controller(i32 i32) i32",
    ];
    const huge = "(i32.const 0) (i32.const 2147483648)";
    const zeros = "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)";
    const unlimited = { instructionLimit: 40_000_000_000n };
    const outcome = (body: string): MessageOutcome =>
      ran(moduleText(imports, `${grow} ${body}`), unlimited, (canister) => {
        canister.meta.settings = { ...canister.meta.settings, wasmMemoryLimit: 0n };
      }).outcome;
    assert.match(
      outcome(`(call $call_new ${huge} ${zeros})`).error?.message ?? "",
      /provided invalid principal id/,
    );
    assert.match(
      outcome(`(drop (call $is_controller ${huge}))`).error?.message ?? "",
      /provided invalid principal id/,
    );
    const cost = `(i32.store (i32.const 0) (call $cost_sign_with_ecdsa ${huge} (i32.const 0) (i32.const 0)))`;
    assert.equal(reply(outcome(`${cost} (call $append (i32.const 0) (i32.const 4)) (call $reply)`))[0], 2);
    assert.ok((outcome(`(call $trap ${huge})`).error?.message.length ?? 0) < 100_000);
    assert.equal(outcome(`(call $debug_print ${huge})`).logs[0]?.length, 4_056);
  });

  test("a loop of prints keeps what the log can hold", () => {
    const text = moduleText(
      ["debug_print(i32 i32)"],
      `(local $i i32)
       (loop $l (i32.store8 (i32.const 0) (local.get $i)) (call $debug_print (i32.const 0) (i32.const 1))
         (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const 10000))))
       (call $reply)`,
    );
    const { outcome } = ran(text);
    assert.equal(outcome.logs.length, Math.floor(4096 / 41));
    assert.deepEqual(outcome.logs.at(-1), Uint8Array.of(9999 & 255));
    assert.equal(outcome.logsDropped, 10_000 - Math.floor(4096 / 41));
  });
});
