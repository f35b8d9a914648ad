/**
 * The published client library on a real network, query signatures and certificates verified (interface spec, "HTTPS Interface",
 * "Certification", "Canister installation"): every kind of sender, calls and queries, reads and their absences, errors.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import {
  AgentError,
  AnonymousIdentity,
  type CertifiedRejectErrorCode,
  type HttpAgent,
  type Identity,
  LookupPathStatus,
  RejectError,
  StatePaths,
} from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import {
  DelegationChain,
  DelegationIdentity,
  ECDSAKeyIdentity,
  Ed25519KeyIdentity,
} from "@icp-sdk/core/identity";
import { Secp256k1KeyIdentity } from "@icp-sdk/core/identity/secp256k1";
import { Principal } from "@icp-sdk/core/principal";
import type { CborValue } from "@orrery/base";
import { hashTreeFromCbor, lookupPath } from "@orrery/crypto";
import { counterAt } from "./counter.ts";
import { agentFor, fixtureGzip, fixtureModule, type Network, startNetwork, subnetsOf } from "./harness.ts";
import { createCanister, installCode, managementOf } from "./management.ts";

let network: Network;
before(async () => {
  network = await startNetwork();
});
after(async () => {
  await network.end("SIGTERM");
});

const NO_ARGUMENT: Uint8Array = IDL.encode([], []);
const HOUR_MS = 3_600_000;

async function installedCounter(agent: HttpAgent, fixture = "counter.eop"): Promise<Principal> {
  const canisterId = await createCanister(agent, network.effectiveCanisterId);
  await installCode(agent, canisterId, fixtureModule(fixture));
  return canisterId;
}

async function delegated(from: Ed25519KeyIdentity, targets?: Principal[]): Promise<Identity> {
  const session = Ed25519KeyIdentity.generate();
  const expiration = new Date(Date.now() + HOUR_MS);
  const chain = await DelegationChain.create(
    from,
    session.getPublicKey(),
    expiration,
    targets === undefined ? {} : { targets },
  );
  return DelegationIdentity.fromDelegation(session, chain);
}

describe("senders", () => {
  const identities: readonly (readonly [string, () => Promise<Identity> | Identity])[] = [
    ["anonymous", () => new AnonymousIdentity()],
    ["Ed25519", () => Ed25519KeyIdentity.generate()],
    ["secp256k1", () => Secp256k1KeyIdentity.generate()],
    ["P-256", () => ECDSAKeyIdentity.generate()],
    ["a delegated key", () => delegated(Ed25519KeyIdentity.generate())],
  ];
  for (const [name, identity] of identities) {
    test(`${name}: create, install, call, query`, async () => {
      const agent = agentFor(network, await identity());
      const counter = counterAt(agent, await installedCounter(agent));
      assert.equal(await counter.get(), 0n);
      assert.equal(await counter.inc(), 1n);
      assert.equal(await counter.add(41n), 42n);
      assert.equal(await counter.get(), 42n);
    });
  }

  test("a delegation with targets works on them and nowhere else", async () => {
    const root = Ed25519KeyIdentity.generate();
    const own = agentFor(network, root);
    const [allowed, forbidden] = [await installedCounter(own), await installedCounter(own)];
    const agent = agentFor(network, await delegated(root, [allowed]));
    assert.equal(await counterAt(agent, allowed).inc(), 1n);
    assert.equal(await counterAt(agent, allowed).get(), 1n);
    await assert.rejects(counterAt(agent, forbidden).inc(), /is not one of the delegation targets/);
    await assert.rejects(counterAt(agent, forbidden).get(), /is not one of the delegation targets/);
    assert.equal(await counterAt(own, forbidden).get(), 0n);
  });
});

describe("installation", () => {
  for (const fixture of ["counter.eop", "counter.classic"]) {
    test(`${fixture}: an upgrade keeps the data, a reinstallation does not`, async () => {
      const agent = agentFor(network, Ed25519KeyIdentity.generate());
      const canisterId = await installedCounter(agent, fixture);
      const counter = counterAt(agent, canisterId);
      await counter.set(1n << 70n);
      const keep = fixture === "counter.eop" ? [{ keep: null } as const] : [];
      const wasm_memory_persistence = keep as [] | [{ readonly keep: null }];
      await installCode(agent, canisterId, fixtureModule(fixture), {
        upgrade: [{ skip_pre_upgrade: [], wasm_memory_persistence }],
      });
      assert.equal(await counter.inc(), (1n << 70n) + 1n);
      await installCode(agent, canisterId, fixtureModule(fixture), { reinstall: null });
      assert.equal(await counter.get(), 0n);
    });
  }

  test("takes gzip and shows the hash of what was uploaded", async () => {
    const agent = agentFor(network, Ed25519KeyIdentity.generate());
    const canisterId = await createCanister(agent, network.effectiveCanisterId);
    const gzip = fixtureGzip("counter.eop");
    await installCode(agent, canisterId, gzip);
    const hash = new Uint8Array(createHash("sha256").update(gzip).digest());
    const status = await managementOf(agent, canisterId).canister_status({ canister_id: canisterId });
    assert.deepEqual(new Uint8Array(status.module_hash[0] ?? []), hash);
    assert.equal(await counterAt(agent, canisterId).inc(), 1n);
  });

  test("stopped canisters refuse, started ones serve, deleted ones are gone", async () => {
    const agent = agentFor(network, Ed25519KeyIdentity.generate());
    const canisterId = await installedCounter(agent);
    const management = managementOf(agent, canisterId);
    const counter = counterAt(agent, canisterId);
    await management.stop_canister({ canister_id: canisterId });
    await assert.rejects(counter.inc(), /is stopped/);
    await management.start_canister({ canister_id: canisterId });
    assert.equal(await counter.inc(), 1n);
    await management.stop_canister({ canister_id: canisterId });
    await management.delete_canister({ canister_id: canisterId });
    await assert.rejects(counter.get(), /not found/);
  });

  test("is the controllers' business", async () => {
    const canisterId = await installedCounter(agentFor(network, Ed25519KeyIdentity.generate()));
    const stranger = agentFor(network, Ed25519KeyIdentity.generate());
    await assert.rejects(
      installCode(stranger, canisterId, fixtureModule("counter.eop"), { reinstall: null }),
      /Only the controllers/,
    );
  });
});

describe("read_state", () => {
  const read = (agent: HttpAgent, canisterId: Principal, paths: Uint8Array[][]) =>
    agent.readState({ canisterId }, { paths });
  const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

  test("time, controllers, module hash, interface", async () => {
    const identity = Ed25519KeyIdentity.generate();
    const agent = agentFor(network, identity);
    const canisterId = await installedCounter(agent);
    const paths = {
      time: StatePaths.time,
      controllers: StatePaths.canisterControllers(canisterId),
      hash: StatePaths.canisterModuleHash(canisterId),
      candid: StatePaths.canisterCandid(canisterId),
    };
    const { values } = await agent.readState({ canisterId }, { paths: Object.values(paths) });
    assert.ok(Math.abs((values.get(paths.time)?.getTime() ?? 0) - Date.now()) < 60_000);
    assert.deepEqual(values.get(paths.controllers)?.map(String), [identity.getPrincipal().toText()]);
    assert.equal(values.get(paths.hash)?.length, 32);
    assert.match(values.get(paths.candid) ?? "", /inc: \(\) -> \(nat\)/);
  });

  test("what is not there is provably absent", async () => {
    const agent = agentFor(network, Ed25519KeyIdentity.generate());
    const canisterId = await createCanister(agent, network.effectiveCanisterId);
    const id = canisterId.toUint8Array();
    const paths = [
      [utf8("canister"), id, utf8("module_hash")],
      [utf8("canister"), id, utf8("metadata"), utf8("candid:service")],
      [utf8("request_status"), new Uint8Array(32).fill(7), utf8("status")],
    ];
    for (const path of paths) {
      const { verifiedCertificate } = await read(agent, canisterId, [path]);
      // The library verified it; the look-up is the specification's, since the library does not compare labels byte by byte and
      // then takes some absences for ignorance.
      const tree = hashTreeFromCbor(verifiedCertificate.cert.tree as unknown as CborValue);
      assert.equal(lookupPath(tree, path).kind, "absent");
    }
  });

  test("refuses what may not be read", async () => {
    const agent = agentFor(network, Ed25519KeyIdentity.generate());
    const [own, other] = [await installedCounter(agent), await installedCounter(agent)];
    await assert.rejects(
      read(agent, own, [[utf8("canister"), other.toUint8Array(), utf8("controllers")]]),
      /does not match requested/,
    );
    await assert.rejects(
      read(agent, own, [[utf8("canister"), own.toUint8Array(), utf8("certified_data")]]),
      /Invalid path requested/,
    );
    await assert.rejects(read(agent, own, [[utf8("nonsense")]]), /Invalid path requested/);
  });

  test("another user's request stays private, one's own is readable", async () => {
    const agent = agentFor(network, Ed25519KeyIdentity.generate());
    const canisterId = await installedCounter(agent);
    const { requestId } = await agent.call(canisterId, {
      methodName: "inc",
      arg: NO_ARGUMENT,
      effectiveCanisterId: canisterId,
    });
    const path = [utf8("request_status"), new Uint8Array(requestId), utf8("status")];
    const { verifiedCertificate } = await read(agent, canisterId, [path]);
    const found = verifiedCertificate.lookup_path(path);
    assert.equal(found.status, LookupPathStatus.Found);
    assert.equal(
      new TextDecoder().decode(found.status === LookupPathStatus.Found ? found.value : undefined),
      "replied",
    );
    await assert.rejects(
      read(agentFor(network, Ed25519KeyIdentity.generate()), canisterId, [path]),
      /not signed by the caller/,
    );
  });

  test("the subnets: keys, the root's being the network's", async () => {
    const { root, application } = subnetsOf(network);
    const keys: Uint8Array[] = [];
    for (const { id } of [root, application]) {
      const subnetId = Principal.fromText(id);
      const key = StatePaths.subnetPublicKey(subnetId);
      const agent = agentFor(network);
      const { values } = await agent.readState({ subnetId }, { paths: [key, StatePaths.time] });
      keys.push(values.get(key) as Uint8Array);
      assert.deepEqual(Principal.selfAuthenticating(keys.at(-1) as Uint8Array).toText(), id);
    }
    assert.deepEqual(keys[0], network.rootKey);
    assert.notDeepEqual(keys[1], network.rootKey);
  });
});

describe("errors", () => {
  test("a canister that does not exist: refused before it is submitted", async () => {
    const agent = agentFor(network);
    const absent = Principal.fromUint8Array(new Uint8Array([0, 0, 0, 0, 0, 0x0f, 0xff, 0xff, 1, 1]));
    await assert.rejects(
      counterAt(agent, absent).inc(),
      (error) => error instanceof RejectError && /not found/.test(error.message),
    );
    await assert.rejects(
      counterAt(agent, absent).get(),
      (error) => error instanceof RejectError && /not found/.test(error.message),
    );
  });

  test("a method that does not exist: rejected, certified for calls", async () => {
    const agent = agentFor(network);
    const canisterId = await installedCounter(agent);
    const call = agent.update(canisterId, {
      methodName: "nothing",
      arg: NO_ARGUMENT,
      effectiveCanisterId: canisterId,
    });
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof AgentError);
      const { rejectCode, rejectErrorCode } = error.cause.code as CertifiedRejectErrorCode;
      assert.ok(rejectCode === 5 || rejectCode === 3);
      assert.equal(rejectErrorCode, "IC0536");
      return true;
    });
    const answer = await agent.query(canisterId, { methodName: "nothing", arg: NO_ARGUMENT });
    assert.equal(answer.status, "rejected");
  });

  test("a trap in the argument decoder rolls back and says why", async () => {
    const agent = agentFor(network);
    const canisterId = await installedCounter(agent);
    await counterAt(agent, canisterId).inc();
    const call = agent.update(canisterId, {
      methodName: "add",
      arg: new Uint8Array([1]),
      effectiveCanisterId: canisterId,
    });
    await assert.rejects(
      call,
      (error) => error instanceof AgentError && /IC0503|trapped|ic0\.trap/.test(error.message),
    );
    assert.equal(await counterAt(agent, canisterId).get(), 1n);
  });
});

test("many clients at once: every increment counts once", async () => {
  const owner = agentFor(network, Ed25519KeyIdentity.generate());
  const canisterId = await installedCounter(owner);
  const clients = Array.from({ length: 8 }, () =>
    counterAt(agentFor(network, Ed25519KeyIdentity.generate()), canisterId),
  );
  const seen = await Promise.all(
    clients.flatMap((counter) => Array.from({ length: 8 }, () => counter.inc())),
  );
  assert.deepEqual(
    [...seen].sort((a, b) => Number(a - b)),
    Array.from({ length: 64 }, (_, i) => BigInt(i + 1)),
  );
});
