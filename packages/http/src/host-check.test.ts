import assert from "node:assert/strict";
import { test } from "node:test";
import { hostAllowed } from "./host-check.ts";

const SERVED = [
  "localhost",
  "LOCALHOST:8000",
  "localhost.",
  "a.localhost:1",
  "127.0.0.1",
  "127.0.0.1:8000",
  "[::1]:8000",
  "10.0.0.7",
];
const REFUSED = [
  "evil.example",
  "localhost.evil.example",
  "evillocalhost",
  "127.0.0.1.evil.example",
  "",
  ":8000",
];

test("localhost, its subdomains and IP literals are served", () => {
  for (const host of SERVED) assert.ok(hostAllowed(host, []), host);
});

test("other names are refused", () => {
  for (const host of REFUSED) assert.ok(!hostAllowed(host, []), host);
});

test("configured names and wildcards are served", () => {
  const allowed = ["node.example", "*.app.example"];
  for (const host of ["node.example", "Node.Example:443", "x.app.example"])
    assert.ok(hostAllowed(host, allowed), host);
  for (const host of ["app.example", "x.node.example", "xapp.example"])
    assert.ok(!hostAllowed(host, allowed), host);
});

test("a request without the header is served", () => assert.ok(hostAllowed(undefined, [])));
