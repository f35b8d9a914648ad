/** The conformance suite against an instance of the PocketIC server that lives by the machine's clock: a sample, and every case of some sections. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ed25519 } from "../suite/identity.ts";
import { type Outside, startOutside } from "../suite/outside.ts";
import { runSuite } from "../suite/run.ts";
import { newInstance, type Server, startServer } from "./server.ts";

/** What an instance does otherwise on purpose. */
const OTHERWISE: readonly string[] = [
  // Named subnets have the ids that they have on the public network, with keys of their own.
  "Principals: a subnet's id is the principal of its key",
  // Ids of generated ranges cannot be asked for, whether they exist or not.
  "Management: provisional API: a specified id that exists is rejected",
];
const EVERY = 8;
const NEW = { state_config: "New" };
const administrator = ed25519();

let outside: Outside;
let server: Server;
let url: string;
before(async () => {
  outside = await startOutside();
  server = await startServer({
    arguments: ["--log-levels", "error"],
    environment: { NODE_EXTRA_CA_CERTS: outside.certificateFile },
  });
  const id = await newInstance(server, {
    subnet_config_set: {
      nns: NEW,
      ii: NEW,
      test_threshold_keys: NEW,
      application: [NEW, NEW],
      cloud_engine: [
        { ...NEW, subnet_admins: [{ principal_id: Buffer.from(administrator.sender).toString("base64") }] },
      ],
    },
    initial_time: { AutoProgress: { artificial_delay_ms: null } },
  });
  url = `${server.url}/instances/${id}/`;
});
after(async () => {
  outside.close();
  await server.end();
});

for (const { what, every, ...chosen } of [
  { what: "a sample of all cases", every: EVERY },
  { what: "all cases on certification", filter: "certification", every: 1 },
  { what: "all cases that move the clock, in instances of their own", needing: "time control", every: 1 },
] as const) {
  test(`an instance passes ${what}`, async () => {
    const sample = { every, offset: 3 };
    const { results, capabilities } = await runSuite({ url, outside, administrator, ...chosen, sample });
    for (const has of ["several subnets", "snapshots", "chain keys", "outcalls", "time control"] as const) {
      assert.ok(capabilities.includes(has), has);
    }
    const failed = results
      .filter(({ status }) => status === "failed")
      .filter(({ section, title }) => !OTHERWISE.includes(`${section}: ${title}`));
    assert.deepEqual(
      failed.map(({ section, title, reason }) => `${section}: ${title}\n${reason}`),
      [],
    );
    assert.ok(results.some(({ status }) => status === "passed"));
  });
}
