/** The suite against a node of its own, its table of counts, and that it notices a network that lies. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import type { Network } from "../harness.ts";
import type { Capability, Case } from "./case.ts";
import { openInProcess } from "./clock.ts";
import { ed25519 } from "./identity.ts";
import { judge, sentenceOf } from "./otherwise.ts";
import { type Outside, startNetworkBeside, startOutside } from "./outside.ts";
import { type CaseResult, runSuite, selectCases } from "./run.ts";
import { countsTable } from "./table.ts";

const CASES_MIN = 700;
/** More failures than these have one cause. */
const LISTED_MAX = 50;
/** What a node has; a case that needs something else is not run against it. */
const OF_A_NODE: readonly Capability[] = [
  "several subnets",
  "snapshots",
  "subnet information",
  "chain keys",
  "outcalls",
  "administrators",
];
const administrator = ed25519();

let outside: Outside;
let network: Network;
before(async () => {
  outside = await startOutside();
  network = await startNetworkBeside(outside, administrator);
});
after(async () => {
  await network.end("SIGTERM");
  outside.close();
});

test("the table of the README counts the cases", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  assert.ok(readme.includes(countsTable(selectCases({}))), "npm run conformance -- --table writes the table");
});

test("there are enough cases, each with a sentence of its own", () => {
  const cases = selectCases({});
  assert.ok(cases.length >= CASES_MIN, `${cases.length} cases`);
  const sentences = cases.map(sentenceOf);
  const twice = sentences.filter((sentence, index) => sentences.indexOf(sentence) !== index);
  assert.deepEqual(twice, []);
});

test("networks in this process let cases move their clocks", async () => {
  const { results } = await runSuite({
    url: network.url,
    filter: "Global timer",
    needing: "time control",
    clock: openInProcess,
  });
  assert.ok(results.length > 3);
  assert.deepEqual(
    results.filter(({ status }) => status !== "passed"),
    [],
  );
});

test("what fails at a case's own network is that case's failure, in the time that a case has", async () => {
  const missing = new Error("no network today");
  const closing = async (): ReturnType<typeof openInProcess> => {
    const one = await openInProcess();
    return { ...one, close: () => one.close().then(() => Promise.reject(missing)) };
  };
  const unreachable = async (): ReturnType<typeof openInProcess> => {
    const one = await openInProcess();
    return { ...one, fetch: () => Promise.reject(missing) };
  };
  for (const [clock, caseMsMax, reason] of [
    [() => Promise.reject(missing), 60_000, /no network today/],
    [unreachable, 60_000, /no network today/],
    [closing, 60_000, /no network today/],
    [() => new Promise<never>(() => {}), 10, /not done after 10 ms/],
  ] as const) {
    const filter = "Global timer: a timer in an hour";
    const { results } = await runSuite({ url: network.url, filter, clock, caseMsMax });
    assert.deepEqual(
      results.map(({ status }) => status),
      ["failed"],
    );
    assert.match(results[0]?.reason ?? "", reason);
  }
});

test("what is otherwise on purpose is expected, unless it passes or is no case", () => {
  const [first, second, third] = selectCases({}) as [Case, Case, Case];
  const result = ({ section, title }: Case, status: CaseResult["status"]): CaseResult => ({
    ...{ section, title, status, reason: status === "failed" ? "why" : null, milliseconds: 1 },
  });
  const [a, b, c] = [first, second, third].map(sentenceOf) as [string, string, string];
  const otherwise = new Map([a, b, c, "Nowhere: nothing"].map((sentence) => [sentence, "on purpose"]));
  const results = [result(first, "failed"), result(second, "passed"), result(third, "not run")];
  const verdict = judge(results, otherwise);
  assert.deepEqual(verdict, {
    failed: [],
    expected: [`${a}: on purpose`],
    stale: [`${b}: passed and is said to be otherwise`, "Nowhere: nothing: there is no such case"],
  });
  assert.deepEqual(judge(results).failed, [`${a}\nwhy`]);
});

test("a node passes all cases that it can be asked", async () => {
  const { results, capabilities } = await runSuite({ url: network.url, outside, administrator });
  assert.deepEqual([...capabilities].sort(), [...OF_A_NODE].sort());
  const failed = results.filter(({ status }) => status === "failed");
  // A network that died says why before its cases are listed.
  if (failed.length > LISTED_MAX)
    assert.fail(`${failed.length} cases failed; the network's log:\n${network.log().slice(-4_000)}`);
  assert.deepEqual(judge(results).failed, []);
  const passed = results.filter(({ status }) => status === "passed").length;
  assert.ok(passed >= CASES_MIN, `${passed} cases passed`);
});

/** Passes requests on and changes a byte of the answers to those whose path matches. */
async function liar(url: string, path: RegExp): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", async () => {
      const { method = "GET", headers } = request;
      const contentType = headers["content-type"];
      const answer = await fetch(`${url}${request.url}`, {
        method,
        headers: contentType === undefined ? {} : { "content-type": contentType },
        ...(method === "GET" ? {} : { body: Buffer.concat(chunks) }),
      });
      const body = Buffer.from(await answer.arrayBuffer());
      if (path.test(request.url ?? "") && answer.status === 200)
        body[body.length - 3] = (body.at(-3) ?? 0) ^ 1;
      response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" });
      response.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

test("changed answers make cases fail, and unchanged ones pass through the same way", async () => {
  for (const [path, isFailing] of [
    [/\/api\/v\d\/canister\/.*\/query$/, true],
    [/\/nowhere$/, false],
  ] as const) {
    const server = await liar(network.url, path);
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const { results } = await runSuite({ url, filter: "Certified data: data_certificate_present" });
      assert.equal(
        results.some(({ status }) => status === "failed"),
        isFailing,
      );
      assert.ok(results.length > 2);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }
});
