/** The file of custom domains as it changes, and bodies of canisters decompressed. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { deflateRawSync, gzipSync } from "node:zlib";
import { canisterIdFromIndex, principalToText } from "@orrery/base";
import { inflateBody, watchCustomDomains } from "./gateway-files.ts";

test("custom domains follow their file", (context) => {
  const directory = mkdtempSync(join(tmpdir(), "orrery-domains-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  let nowMs = 0;
  context.mock.method(performance, "now", () => nowMs);
  const path = join(directory, "custom-domains.txt");
  const seen: string[][] = [];
  const warnings: string[] = [];
  const look = watchCustomDomains(
    path,
    (domains) => seen.push([...domains.keys()]),
    (line) => warnings.push(line),
  );
  const later = (text: string | null): void => {
    if (text === null) rmSync(path);
    else writeFileSync(path, text);
    nowMs += 2_000;
    if (text !== null) utimesSync(path, nowMs, nowMs);
    look();
  };
  const id = principalToText(canisterIdFromIndex(1n));
  look();
  assert.deepEqual(seen, []);
  later(`A.example:${id}\n\nno colon\nb.example:xyz\n`);
  later(`c.example:${id}\n`);
  look();
  later("");
  later(`d.example:${id}`);
  later(null);
  assert.deepEqual(seen, [["a.example"], ["c.example"], [], ["d.example"], []]);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /b\.example is passed over/);
});

test("bodies are decompressed up to a limit", () => {
  const text = Buffer.from("text ".repeat(100));
  assert.deepEqual(Buffer.from(inflateBody("gzip", gzipSync(text), 500) ?? []), text);
  assert.deepEqual(Buffer.from(inflateBody("deflate", deflateRawSync(text), 500) ?? []), text);
  assert.equal(inflateBody("gzip", gzipSync(text), 499), null);
  assert.equal(inflateBody("deflate", deflateRawSync(text), 499), null);
  assert.equal(inflateBody("gzip", text, 500), null);
});
