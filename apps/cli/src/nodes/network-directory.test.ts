/** Where the nodes of a network listen for each other, and what may be in its directory. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OrreryError } from "@orrery/base";
import { freeAddresses, refuseOthers, usableAddresses } from "./network-directory.ts";

const directory = mkdtempSync(join(tmpdir(), "orrery-plan-"));
after(() => rmSync(directory, { recursive: true, force: true }));

test("addresses are kept but for those that somebody took meanwhile", async () => {
  const addresses = await freeAddresses(3);
  assert.deepEqual(await usableAddresses(addresses), addresses);
  const other = createServer().listen(addresses[1]?.port, addresses[1]?.host);
  await once(other, "listening");
  try {
    const usable = await usableAddresses(addresses);
    assert.deepEqual([usable[0], usable[2]], [addresses[0], addresses[2]]);
    assert.equal(new Set([...addresses, ...usable].map(({ port }) => port)).size, 4);
  } finally {
    other.close();
  }
});

test("another program's files are refused, and a network of one node unless it is discarded", () => {
  const refused = (path: string, discarded: boolean, text: RegExp): void =>
    assert.throws(
      () => refuseOthers(path, { discarded }),
      (error) =>
        error instanceof OrreryError && error.code === "state_dir_foreign" && text.test(error.message),
    );
  const one = mkdtempSync(join(directory, "one-"));
  mkdirSync(join(one, "store"));
  refused(one, false, /--clean/);
  refuseOthers(one, { discarded: true });
  const foreign = mkdtempSync(join(directory, "foreign-"));
  writeFileSync(join(foreign, "thesis.1.tmp"), "");
  for (const discarded of [false, true]) refused(foreign, discarded, /thesis\.1\.tmp/);
  const several = mkdtempSync(join(directory, "several-"));
  for (const name of ["peers.json", "genesis.hex", "node.json", "peers.json.12.tmp", "node.json.12.tmp"])
    writeFileSync(join(several, name), "");
  mkdirSync(join(several, "node-12"));
  refuseOthers(several, { discarded: false });
});
