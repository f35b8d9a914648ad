/** The golden programs: what is installed, with which argument, and which calls it gets. Arguments of a call are Candid or bytes. */
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { canisterIdFromIndex, principalToText } from "@orrery/base";
import { systemCanisters } from "@orrery/canisters";
import {
  type MotokoFixtureName,
  motokoFixture,
  otherFixture,
  universalFixture,
} from "@orrery/canisters/fixtures";

export interface Step {
  readonly method: string;
  readonly arg: Uint8Array;
}
/** Seconds that pass, for timers. */
export type Pause = { readonly seconds: number };

export interface Program {
  readonly name: string;
  readonly module: Uint8Array;
  readonly init: Uint8Array;
  /** Installed first, as the second canister. */
  readonly partner: Uint8Array | null;
  /** Given the partner's id. */
  readonly steps: (partner: Principal) => readonly (Step | Pause)[];
}

const none: Uint8Array = new Uint8Array(IDL.encode([], []));
const step = (method: string, types: IDL.Type[] = [], values: unknown[] = []): Step => ({
  method,
  arg: new Uint8Array(IDL.encode(types, values)),
});
const bytes = (method: string, ...arg: readonly number[]): Step => ({ method, arg: Uint8Array.from(arg) });
/** 32-bit numbers, little endian. */
const words = (method: string, ...numbers: readonly number[]): Step => ({
  method,
  arg: new Uint8Array(Uint32Array.from(numbers).buffer),
});
const text = (method: string, value: string): Step => ({ method, arg: new TextEncoder().encode(value) });
const { Nat, Text, Principal: P } = IDL;
const Blob = IDL.Vec(IDL.Nat8);
const blob = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (i * 7) & 255);
/** Canisters of a fresh subnet have these ids in turn. */
export const MAIN: Principal = Principal.fromUint8Array(canisterIdFromIndex(0n));
export const PARTNER: Principal = Principal.fromUint8Array(canisterIdFromIndex(1n));

interface MotokoScript {
  readonly partner?: MotokoFixtureName;
  readonly init?: Uint8Array;
  readonly steps: Program["steps"];
}
const ARMED = IDL.Record({
  heartbeat: IDL.Bool,
  inspect: IDL.Bool,
  postupgrade: IDL.Bool,
  preupgrade: IDL.Bool,
});

/** `web` answers what a gateway asks, and `weather` what a web service answers: nothing that has a result of its own. */
const MOTOKO: Readonly<Record<Exclude<MotokoFixtureName, "web" | "weather">, MotokoScript>> = {
  counter: {
    steps: () => [
      step("inc"),
      step("add", [Nat], [10n ** 30n]),
      step("get"),
      step("set", [Nat], [0n]),
      step("inc"),
    ],
  },
  timers: { steps: () => [step("startOnce", [Nat], [1n]), { seconds: 2 }, step("counts")] },
  callee: {
    steps: () => [
      step("add", [Nat], [5n]),
      step("echo", [Blob], [blob(1_000)]),
      step("whoCalls"),
      step("addThenTrap", [Nat], [1n]),
      step("get"),
    ],
  },
  caller: {
    partner: "callee",
    steps: (partner) => [
      step("relay", [P, Nat], [partner, 5n]),
      step("parallel", [P, Nat], [partner, 5n]),
      step("callTrapping", [P], [partner]),
      step("deep", [P, Nat], [partner, 3n]),
      step("stepCount"),
    ],
  },
  "stable-structures": {
    steps: () => [
      step("put", [Text, Nat], ["a", 1n]),
      step("fill", [Text, Nat], ["key", 300n]),
      step("append", [Blob], [blob(5_000)]),
      step("digest"),
      step("get", [Text], ["key7"]),
      step("remove", [Text], ["a"]),
    ],
  },
  "upgrade-v1": {
    steps: () => [
      step("add", [Text], ["one"]),
      step("add", [Text], ["two"]),
      step("rename", [Text], ["list"]),
      step("list"),
      step("describe"),
    ],
  },
  "upgrade-v2": {
    steps: () => [
      step("add", [Text], ["one"]),
      step("tag", [Nat, Text], [0n, "first"]),
      step("tagOf", [Nat], [0n]),
      step("list"),
    ],
  },
  heap: {
    steps: () => [
      step("grow", [Nat], [2_000n]),
      step("churn", [Nat, Nat], [20n, 2_000n]),
      step("keep", [Nat, Nat], [50n, 100n]),
      step("checksum"),
      step("drop"),
    ],
  },
  spawner: {
    steps: () => [
      step("spawn", [Text, Nat], ["child", 2_000_000_000_000n]),
      step("greet", [Nat], [0n]),
      step("upgrade", [Nat], [0n]),
      step("greet", [Nat], [0n]),
    ],
  },
  wallet: {
    partner: "wallet",
    steps: (partner) => [
      step("send", [P, Nat, Nat], [partner, 1_000n, 400n]),
      step("burn", [Nat], [500n]),
      step("receivedTotal"),
    ],
  },
  blobs: {
    steps: () => [
      step("store", [Blob], [blob(100_000)]),
      step("checksum", [Blob], [blob(50_000)]),
      step("make", [Nat, Nat], [10_000n, 3n]),
      step("slice", [Nat, Nat], [5n, 50n]),
    ],
  },
  hooks: {
    init: new Uint8Array(IDL.encode([Text], [""])),
    steps: () => [
      step("nothing"),
      step("divideByZero", [Nat], [0n]),
      step("log", [Text], ["hello"]),
      step("trapInCallback"),
      step("arm", [ARMED], [{ heartbeat: false, inspect: false, postupgrade: false, preupgrade: true }]),
    ],
  },
  certified: {
    steps: () => [
      step("set", [Text], ["certified text"]),
      step("getReplicated"),
      step("setRaw", [Blob], [blob(32)]),
      step("setRaw", [Blob], [blob(33)]),
    ],
  },
  inspector: {
    steps: () => [
      step("setOpen", [IDL.Bool], [true]),
      step("closed"),
      step("small", [Blob], [blob(10)]),
      step("count"),
    ],
  },
  management: {
    steps: (partner) => [
      step("random"),
      step("create", [Nat], [2_000_000_000_000n]),
      step("status", [P], [partner]),
      step("stop", [P], [partner]),
      step("delete", [P], [partner]),
    ],
  },
};

function motokoPrograms(): Program[] {
  return (Object.keys(MOTOKO) as (keyof typeof MOTOKO)[]).flatMap((name) =>
    (["classic", "enhanced"] as const).map((mode) => {
      const { partner, init = none, steps } = MOTOKO[name];
      return {
        name: `Motoko ${name} (${mode})`,
        module: motokoFixture(name, mode).wasmGzip,
        init,
        partner: partner === undefined ? null : motokoFixture(partner, mode).wasmGzip,
        steps,
      };
    }),
  );
}

const little = (value: number): number[] => [...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)];
const other = (
  name: Parameters<typeof otherFixture>[0],
  language: string,
  steps: readonly (Step | Pause)[],
  init: Uint8Array = new Uint8Array(),
): Program => ({
  name: `${language} ${name}`,
  module: otherFixture(name).wasmGzip,
  init,
  partner: null,
  steps: () => steps,
});

function otherPrograms(): Program[] {
  return [
    other("accumulator", "C", [
      bytes("add", ...little(5)),
      bytes("add", ...little(7)),
      text("remember", "some bytes"),
      bytes("recall", ...little(0), ...little(4)),
      bytes("fail"),
      bytes("sum"),
    ]),
    other("memory64", "WebAssembly text", [
      bytes("inc"),
      bytes("spin", ...little(10_000)),
      bytes("grow", ...little(3)),
      bytes("heap", ...little(2)),
      bytes("get"),
    ]),
    other(
      "registry",
      "TypeScript (Azle)",
      [
        step("put", [Text, Text], ["a", "1"]),
        step("put", [Text, Text], ["a", "2"]),
        step("get", [Text], ["a"]),
        step("putAndTrap", [Text], ["b"]),
        step("counts"),
      ],
      none,
    ),
    other("sha256", "AssemblyScript", [
      text("hash", "abc"),
      text("chain", "one"),
      text("chain", "x".repeat(10_000)),
      bytes("hash"),
    ]),
    other("life", "AssemblyScript", [
      words("seed", 64, 12_345),
      words("step", 50),
      words("step", 1),
      bytes("board"),
    ]),
    other("planets", "AssemblyScript", [
      bytes("energy"),
      words("advance", 1_000),
      words("advance", 1),
      bytes("energy"),
    ]),
    other("index", "AssemblyScript", [
      text("add", "The quick brown fox jumps over the lazy dog"),
      text("add", "the dog barks ".repeat(200)),
      text("find", "dog"),
      bytes("words"),
    ]),
    {
      name: "generated universal (32-bit)",
      module: universalFixture(32),
      init: new Uint8Array(),
      partner: null,
      steps: () => UNIVERSAL_STEPS,
    },
    {
      name: "generated universal (64-bit)",
      module: universalFixture(64),
      init: new Uint8Array(),
      partner: null,
      steps: () => UNIVERSAL_STEPS,
    },
  ];
}

/** Not the governance canister, to which a transfer is a burning. */
const RECIPIENT: Principal = Principal.fromUint8Array(canisterIdFromIndex(77n));
const Account = IDL.Record({ owner: P, subaccount: IDL.Opt(Blob) });
const account = (owner: Principal): unknown => ({ owner, subaccount: [] });
const TransferArg = IDL.Record({
  to: Account,
  amount: Nat,
  fee: IDL.Opt(Nat),
  memo: IDL.Opt(Blob),
  from_subaccount: IDL.Opt(Blob),
  created_at_time: IDL.Opt(IDL.Nat64),
});
const transfer = (amount: bigint): Step =>
  step(
    "icrc1_transfer",
    [TransferArg],
    [{ to: account(RECIPIENT), amount, fee: [], memo: [], from_subaccount: [], created_at_time: [] }],
  );
const LEDGER: readonly Step[] = [
  step("icrc1_name"),
  step("icrc1_total_supply"),
  transfer(1_000_000n),
  transfer(2_000_000n),
  step("icrc1_balance_of", [Account], [account(RECIPIENT)]),
  transfer(10n ** 40n),
];

function systemPrograms(subnetId: Uint8Array): Program[] {
  const genesis = { subnetId: principalToText(subnetId as never) };
  return systemCanisters().map((canister) => ({
    name: `Motoko ${canister.name}`,
    module: canister.wasmGzip(),
    init: canister.initArg(genesis),
    partner: null,
    steps: () =>
      canister.name === "cycles-minting"
        ? [
            step("get_icp_xdr_conversion_rate"),
            step("get_subnet_types_to_subnets"),
            step("get_default_subnets"),
          ]
        : LEDGER,
  }));
}

/** Programs of the universal canister: sums in a loop, a reply of everything, a trap. */
const UNIVERSAL_STEPS: readonly Step[] = [
  bytes("update", 1, 200, 37, 1, 7, 32, 34, 76, 77),
  bytes("update", 36),
  bytes("query", 34, 76, 77),
];

export function goldenPrograms(subnetId: Uint8Array): readonly Program[] {
  return [...motokoPrograms(), ...otherPrograms(), ...systemPrograms(subnetId)];
}
