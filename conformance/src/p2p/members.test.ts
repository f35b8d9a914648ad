/** Four members that make blocks over mutually authenticated TLS sockets: one chain, messages ordered once, blocks put together from parts. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { equalBytes, toHex } from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import { RealMember } from "./real-member.testkit.ts";

const MEMBERS = 4;
const DEAF = 2;
const AWAY = 3;
const STEP_NS = 5_000_000n;
const TURNS_MAX = 30_000;

async function subnet(t: TestContext): Promise<readonly RealMember[]> {
  const onFailure = (error: unknown): void => {
    throw error;
  };
  const listen = { host: "127.0.0.1", port: 0 };
  const members = Array.from(
    { length: MEMBERS },
    (_, place) => new RealMember({ place, listen, isDeaf: place === DEAF, onFailure }),
  );
  t.after(() => Promise.all(members.map((member) => member.peers.close())));
  for (const member of members) await member.connect();
  const records = members.map(({ record }) => record);
  for (const member of members) member.peers.setMembers(records);
  return members;
}

/** Time passes a little with each turn of the event loop. */
async function until(what: string, members: readonly RealMember[], isSo: () => boolean): Promise<void> {
  for (let turns = 0; !isSo(); turns++) {
    if (turns >= TURNS_MAX) assert.fail(`it is not so that ${what}`);
    for (const member of members) member.pass(STEP_NS);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function heights(members: readonly RealMember[]): number {
  return Math.min(...members.map(({ blocks }) => blocks.length));
}

function orderedBy(member: RealMember | undefined, message: Uint8Array): number {
  return (member?.blocks ?? [])
    .flatMap(({ payload }) => payload.ingress)
    .filter((each) => equalBytes(each, message)).length;
}

test("four members make one chain over real sockets, and one that was away comes back to it", async (t) => {
  const members = await subnet(t);
  await until("all are connected", members, () =>
    members.every(({ peers }) => peers.connected().length === MEMBERS - 1),
  );
  const messages = [new Uint8Array(300).fill(1), new Uint8Array(300_000).fill(2)];
  for (const [place, message] of messages.entries()) members[place]?.submit(message);
  await until("messages are ordered", members, () =>
    members.every((member) => messages.every((message) => orderedBy(member, message) === 1)),
  );
  assert.ok((members[DEAF]?.fetched ?? 0) >= 2, "a member without the messages fetched them");
  assert.equal(
    members[1]?.events.some(({ kind }) => kind === "dropped"),
    false,
  );

  const others = members.filter(({ place }) => place !== AWAY);
  const away = members[AWAY] as RealMember;
  const { address } = away.peers;
  const before = away.blocks.length;
  await away.peers.close();
  await until("the others go on", others, () => heights(others) >= before + 4);
  assert.ok(away.blocks.length < heights(others));

  await away.connect(address);
  away.peers.setMembers(others.map(({ record }) => record));
  const goal = heights(others) + 3;
  await until("it has come as far as they", members, () => heights(members) >= goal);
  await until("states are certified", members, () =>
    members.every(({ certified }) => certified.size >= goal - 3),
  );

  const chains = members.map(({ blocks }) => blocks.slice(0, goal).map((block) => toHex(blockHash(block))));
  for (const chain of chains) assert.deepEqual(chain, chains[0]);
  for (const member of members) for (const message of messages) assert.equal(orderedBy(member, message), 1);
});
