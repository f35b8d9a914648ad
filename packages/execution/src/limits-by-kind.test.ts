/**
 * Limits by kind of subnet as canisters meet them: to the last instruction, at full size, on subnets of every kind. The figures are
 * those of the replica's rs/config/src/subnet_config.rs and rs/config/src/execution_environment.rs (dfinity/ic), written down here,
 * not read from ours. Prices and ingress sizes by kind: fees.test.ts, and ingress-pool.test.ts of consensus.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, principalKey, utf8DecodeLossy } from "@orrery/base";
import type { IngressStatus, Outcall, SubnetType } from "@orrery/state";
import { limitsOf } from "./limits.ts";
import type { FetchedOutcall } from "./query/outcall.ts";
import { updateSettingsArg } from "./testing/settings.testkit.ts";
import { uploadChunkArg } from "./testing/snapshots.testkit.ts";
import { idArg, TestSubnet, type TestSubnetOptions } from "./testing/subnet.testkit.ts";
import { rejection, Watched } from "./testing/watched.testkit.ts";

const BILLION = 1_000_000_000n;
const SECOND = 1_000_000_000n;

interface Expected {
  readonly message: bigint;
  readonly messageRounds: number;
  readonly query: bigint;
  readonly install: bigint;
  readonly installRounds: number;
  readonly chunksPerRound: number;
  readonly snapshotsPerRound: number;
  readonly free: boolean;
}

const APPLICATION: Expected = {
  message: 40n * BILLION,
  messageRounds: 20,
  query: 5n * BILLION,
  install: 300n * BILLION,
  installRounds: 150,
  chunksPerRound: 2,
  snapshotsPerRound: 1,
  free: false,
};
const SYSTEM: Expected = {
  message: 50n * BILLION,
  messageRounds: 25,
  query: 50n * BILLION,
  install: 1_000n * BILLION,
  installRounds: 200,
  chunksPerRound: 5,
  snapshotsPerRound: 3,
  free: true,
};
const KINDS: readonly (readonly [SubnetType, Expected])[] = [
  ["application", APPLICATION],
  ["verified_application", APPLICATION],
  ["cloud_engine", APPLICATION],
  ["system", SYSTEM],
];
const INSPECTION = 200_000_000n;

/** Instructions that cost a machine nothing, and with them those of a turn of the burner's loop. */
const PADDING = 5_000;
const TURN = 2 * PADDING + 11;

/**
 * Turns of a loop down to a thousand million, then a `fill`, which charges its length before it looks at the memory: with what a limit
 * leaves the message traps there, with one more it is out of instructions. So a limit of any size is met in no time.
 */
const BURNER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_arg_data_size" (func $size (result i64)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i64 i64 i64)))
  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
  (import "ic0" "canister_self_copy" (func $self (param i64 i64 i64)))
  (import "ic0" "call_new" (func $new (param i64 i64 i64 i64 i64 i64 i64 i64)))
  (import "ic0" "call_on_cleanup" (func $cleanup (param i64 i64)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory i64 1) (table 2 funcref) (elem (i32.const 0) $back $clean) (data (i64.const 64) "echo")
  (func $take (call $copy (i64.const 0) (i64.const 0) (i64.const 8)))
  (func $now (local $n i64) (local.set $n (i64.load (i64.const 0)))
    (loop $again (if (i64.gt_u (local.get $n) (i64.const 1000000000)) (then
      ${"(drop (i32.const 0))".repeat(PADDING)}
      (local.set $n (i64.sub (local.get $n) (i64.const ${TURN}))) (br $again))))
    (memory.fill (i64.const 0) (i32.const 0) (local.get $n)))
  (func $burn (call $take) (call $now))
  (func $back (param i64) (call $now))
  (func $clean (param i64))
  (func $call (call $take) (call $self (i64.const 16) (i64.const 0) (i64.const 10))
    (call $new (i64.const 16) (i64.const 10) (i64.const 64) (i64.const 4) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)))
  (func (export "canister_init") (if (i64.ne (call $size) (i64.const 0)) (then (call $burn))))
  (func (export "canister_post_upgrade") (call $burn))
  (func (export "canister_inspect_message") (call $burn))
  (func (export "canister_update burn") (call $burn))
  (func (export "canister_update echo") (call $reply))
  (func (export "canister_update arm") (call $take) (drop (call $timer (i64.const 1))) (call $reply))
  (func (export "canister_global_timer") (call $now))
  (func (export "canister_update back") (call $call) (drop (call $perform)))
  (func (export "canister_update tidy") (call $call) (call $cleanup (i64.const 1) (i64.const 0)) (drop (call $perform)))
  (func (export "canister_query burn_q") (call $burn))
  (func (export "canister_composite_query burn_c") (call $burn)))`;

/** Of `now`, beside what it is told: its entry, the load, the last look at the loop, the fill and its operands. */
const NOW = 1n + (1n + 2n + 1n) + 5n + 100n + 3n;
/** Of what calls `burn`: two entries, three calls; `take`: its entry, three constants, the call and eight bytes; `now`. */
const BURN = 2n + 3n * 5n + (1n + 3n + 5n + 500n + 8n) + NOW;
/** The entry, the call of `now`. */
const CALLED = 1n + 5n + NOW;
const UNDER = "IC0502";
const OVER = "IC0522";

function exceeded(limit: bigint): RegExp {
  return new RegExp(`exceeded the limit of ${limit} instructions for single message execution`);
}

function u64le(n: bigint): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, n, true);
  return out;
}

const FETCHED: FetchedOutcall = {
  kind: "response",
  status: 200,
  headers: [],
  body: new Uint8Array(0),
  downloadedBytes: 0,
  elapsedMs: 0,
};

/** Its transform takes the beginning of its argument for a number of instructions, more than there are. */
function outcallOf(from: CanisterId): Outcall {
  return {
    id: 1,
    from,
    callbackId: 1,
    refund: 0n,
    time: 1n,
    url: "https://example.com/",
    method: "GET",
    headers: [],
    body: null,
    maxResponseBytes: null,
    transform: { method: "burn_q", context: new Uint8Array(0) },
    replicated: true,
    allowance: null,
  };
}

interface Ended {
  readonly status: Extract<IngressStatus, { kind: "rejected" }>;
  /** Rounds that it took, its own included. */
  readonly rounds: number;
}

/** Rounds until the message is rejected. */
function ended(subnet: TestSubnet, id: Uint8Array): Ended {
  for (let rounds = 1; rounds < 400; rounds++) {
    const status = subnet.status(id);
    assert.ok(status !== null && status.kind !== "replied");
    if (status.kind === "rejected") return { status, rounds };
    subnet.round();
  }
  throw new Error("not answered in 400 rounds");
}

/** A local one, for its provisional canisters, with the limits that others have. */
function optionsOf(type: SubnetType): TestSubnetOptions {
  return { subnet: { type }, limits: limitsOf(type) };
}

function subnetOf(type: SubnetType): TestSubnet {
  return new TestSubnet(optionsOf(type));
}

function burning(subnet: TestSubnet): CanisterId {
  return subnet.installed(BURNER, { cycles: 10n ** 15n });
}

for (const [type, expected] of KINDS) {
  describe(`on a subnet of kind ${type}`, () => {
    const at = (subnet: TestSubnet, canisterId: CanisterId, method: string, n: bigint): Ended =>
      ended(subnet, subnet.submit({ canisterId, method, arg: u64le(n) }));

    test(`an update executes ${expected.message} instructions in ${expected.messageRounds} rounds`, () => {
      const subnet = subnetOf(type);
      const id = burning(subnet);
      const all = at(subnet, id, "burn", expected.message - BURN);
      assert.equal(all.status.errorCode, UNDER);
      assert.equal(all.rounds, expected.messageRounds);
      const { status } = at(subnet, id, "burn", expected.message - BURN + 1n);
      assert.equal(status.errorCode, OVER);
      assert.match(status.message, exceeded(expected.message));
    });

    test("a callback executes as many, or four fifths when it has a cleanup", () => {
      const subnet = subnetOf(type);
      const id = burning(subnet);
      for (const [method, limit] of [
        ["back", expected.message],
        ["tidy", (expected.message * 4n) / 5n],
      ] as const) {
        assert.equal(at(subnet, id, method, limit - CALLED).status.errorCode, UNDER);
        const { status } = at(subnet, id, method, limit - CALLED + 1n);
        assert.equal(status.errorCode, OVER);
        assert.match(status.message, exceeded(limit));
      }
    });

    test("a timer executes as many", () => {
      const subnet = subnetOf(type);
      const id = burning(subnet);
      // What it traps with is in the log; running out of instructions is in none.
      for (const more of [0n, 1n]) {
        subnet.reply({ canisterId: id, method: "arm", arg: u64le(expected.message - CALLED + more) });
        assert.notEqual(subnet.canister(id).meta.globalTimer, 0n);
        for (let i = 0; i < 2 * expected.messageRounds; i++) subnet.round();
        const canister = subnet.canister(id);
        assert.deepEqual([canister.meta.globalTimer, canister.running], [0n, null]);
        assert.deepEqual(
          canister.logs.map(({ content }) => utf8DecodeLossy(content)),
          ["[TRAP]: heap out of bounds"],
        );
      }
    });

    test(`a query executes ${expected.query} instructions, replicated or not, composite or not`, () => {
      let id: CanisterId | null = null;
      const watched = new Watched((subnet) => {
        id = burning(subnet);
      }, optionsOf(type));
      assert.ok(id !== null);
      const last = expected.query - BURN;
      for (const method of ["burn_q", "burn_c"]) {
        assert.equal(rejection(watched.query(id, method, u64le(last))).errorCode, UNDER);
        const refused = rejection(watched.query(id, method, u64le(last + 1n)));
        assert.equal(refused.errorCode, OVER);
        assert.match(refused.rejectMessage, exceeded(expected.query));
      }
      const { status, rounds } = at(watched.subnet, id, "burn_q", last);
      assert.deepEqual([status.errorCode, rounds], [UNDER, 1]);
      const refused = at(watched.subnet, id, "burn_q", last + 1n).status;
      assert.equal(refused.errorCode, OVER);
      assert.match(refused.message, exceeded(expected.query));
      const transformed = watched.follow().answerOutcall(outcallOf(id), FETCHED).content;
      assert.equal(transformed.kind, "reject");
      assert.match(transformed.kind === "reject" ? transformed.message : "", exceeded(expected.query));
      const inspect = (n: bigint): string => {
        const { bytes } = watched.subnet.envelope({
          canisterId: id as CanisterId,
          method: "burn",
          arg: u64le(n),
        });
        return watched.follow().inspect(bytes)?.message ?? "";
      };
      assert.match(inspect(INSPECTION - BURN), /heap out of bounds/);
      assert.match(inspect(INSPECTION - BURN + 1n), exceeded(INSPECTION));
    });

    test(`an installation executes ${expected.install} instructions, compiling included, in ${expected.installRounds} rounds`, () => {
      const subnet = subnetOf(type);
      const install = (n: bigint): Ended => {
        const id = subnet.create({ cycles: 10n ** 15n });
        const arg = subnet.installArg(id, BURNER, { arg: u64le(n) });
        return ended(subnet, subnet.submit({ method: "install_code", arg }));
      };
      const { status } = install(1n << 60n);
      assert.equal(status.errorCode, OVER);
      const left = BigInt(/exceeded the limit of (\d+) instructions/.exec(status.message)?.[1] ?? 0n);
      // Compiling takes 6,000 an operator, the same on every subnet.
      const operators = (expected.install - left) / 6_000n;
      assert.ok(operators > 10_000n && operators < 11_000n, `${operators}`);
      assert.equal(expected.install - left, 6_000n * operators);
      // Before `burn` is called: the size, the comparison, the branch.
      const around = 5n + 500n + 1n + 1n + 2n;
      const all = install(left - BURN - around);
      assert.equal(all.status.errorCode, UNDER);
      assert.equal(all.rounds, expected.installRounds);
      assert.equal(install(left - BURN - around + 1n).status.errorCode, OVER);
    });

    test("a canister ends two messages of a billion instructions in a round: the longest slice has room after them", () => {
      const subnet = subnetOf(type);
      const id = burning(subnet);
      const sent = Array.from({ length: 10 }, () =>
        subnet.envelope({ canisterId: id, method: "burn", arg: u64le(BILLION - BURN) }),
      );
      subnet.round(sent.map(({ bytes }) => bytes));
      const done = sent.filter(({ id: request }) => subnet.status(request)?.kind === "rejected").length;
      assert.equal(done, 2);
    });

    test("who installs much waits, or not", () => {
      const subnet = subnetOf(type);
      const id = subnet.create({ cycles: 10n ** 15n });
      const arg = subnet.installArg(id, BURNER, { arg: u64le(10n * BILLION) });
      assert.equal(ended(subnet, subnet.submit({ method: "install_code", arg })).status.errorCode, UNDER);
      const again = ended(subnet, subnet.submit({ method: "install_code", arg })).status;
      assert.equal(again.errorCode, expected.free ? UNDER : "IC0209");
    });

    test("chunks and snapshots take their part of a round, or nothing", () => {
      const subnet = subnetOf(type);
      const id = burning(subnet);
      const done = (method: string, args: readonly Uint8Array[]): number => {
        const sent = args.map((arg) => subnet.envelope({ method, arg }));
        subnet.round(sent.map(({ bytes }) => bytes));
        return sent.filter((one) => subnet.status(one.id)?.kind === "replied").length;
      };
      const chunks = [1, 2, 3, 4, 5].map((n) => uploadChunkArg(id, Uint8Array.of(n)));
      assert.equal(done("upload_chunk", chunks), expected.chunksPerRound);
      for (let i = 0; i < 5; i++) subnet.round();
      assert.equal(done("take_canister_snapshot", Array(3).fill(idArg(id))), expected.snapshotsPerRound);
    });

    test(`cycles are ${expected.free ? "never" : "always"} taken: creating, installing, calling, storing, reserving`, () => {
      const subnet = subnetOf(type);
      const id = subnet.create({ cycles: 10n ** 15n });
      const spent = (act: () => void): boolean => {
        const before = subnet.canister(id).meta.cycles;
        act();
        const { cycles } = subnet.canister(id).meta;
        assert.ok(cycles <= before);
        return cycles < before;
      };
      const paid = [
        spent(() => assert.equal(subnet.install(id, BURNER).kind, "replied")),
        spent(() => void subnet.reply({ canisterId: id, method: "echo" })),
        spent(() => void at(subnet, id, "back", 1n << 60n)),
        spent(
          () =>
            void subnet.reply({
              method: "update_settings",
              arg: updateSettingsArg(id, { compute_allocation: 1n }),
            }),
        ),
        spent(() => void subnet.round([], 3_600n * SECOND)),
        spent(() => void subnet.manage("take_canister_snapshot", id)),
      ];
      assert.deepEqual(paid, Array(paid.length).fill(!expected.free));
      subnet.execution.edit(principalKey(id), ({ meta }) => {
        meta.cycles = 0n;
      });
      subnet.round([], 3_600n * SECOND);
      assert.equal(subnet.canister(id).meta.module === null, !expected.free, "out of cycles");
    });
  });
}
