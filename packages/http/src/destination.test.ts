/** Whom a request is for, by its path, its host, its query and the page that it comes from. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { principalFromText, principalToText } from "@orrery/base";
import { createCanisterHosts } from "./canister-hosts.ts";
import { destinationOf } from "./destination.ts";

const CANISTER = "rrkah-fqaaa-aaaaa-aaaaq-cai";
const OTHER = "ryjl3-tyaaa-aaaaa-aaaba-cai";
const PAGES = `${CANISTER}.localhost:8000`;
const hosts = createCanisterHosts();

function whose(url: string, headers: Readonly<Record<string, string>> = {}): string | null {
  const header = (name: string): string | undefined => headers[name];
  const destination = destinationOf(hosts, { url, header });
  return destination && `${destination.kind} ${principalToText(destination.id)}`;
}

test("the interface names whom it is for, at every host", () => {
  assert.equal(whose(`/api/v4/canister/${OTHER}/call`), `canister ${OTHER}`);
  assert.equal(whose(`/api/v4/canister/${OTHER}/call`, { host: PAGES }), `canister ${OTHER}`);
  const subnet = principalToText(principalFromText(OTHER));
  assert.equal(whose(`/api/v3/subnet/${subnet}/read_state`), `subnet ${subnet}`);
  assert.equal(whose("/api/v2/status", { host: PAGES }), null);
});

test("pages are their canister's, by host, query and referer", () => {
  assert.equal(whose("/", { host: PAGES }), `canister ${CANISTER}`);
  assert.equal(whose(`/?canisterId=${OTHER}`), `canister ${OTHER}`);
  assert.equal(whose("/style.css", { referer: `http://x/?canisterId=${OTHER}` }), `canister ${OTHER}`);
  assert.equal(whose("/?canisterId=none"), null);
  assert.equal(whose("/", { host: "localhost:8000" }), null);
});

test("a node's own paths are the network's at its host, and the canister's at a canister's", () => {
  for (const path of ["/_/subnets", "/_/topology?x", "/metrics", "/api/v1/own"]) {
    assert.equal(whose(path, { host: PAGES }), `canister ${CANISTER}`, path);
    assert.equal(whose(path, { host: "localhost:8000" }), null, path);
  }
});
