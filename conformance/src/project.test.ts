/**
 * A project from `orrery new` on a network of its own, as its first hour goes: built, deployed, changed, deployed again with its data kept, watched
 * while it is edited, and its page served by Vite's development server.
 */
import assert from "node:assert/strict";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Actor } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { type Outcome, succeeded } from "@orrery/host/command";
import { createServer } from "vite";
import { CHROMIUM, launchBrowser } from "./browser.ts";
import { agentFor, type Network, startNetwork } from "./harness.ts";
import { managementOf } from "./management.ts";
import { launchOrrery, orrery } from "./orrery.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "orrery-new-"));
const root = join(scratch, "guestbook");
const MAIN = "src/backend/main.mo";
let network: Network;

const succeed = (...argv: readonly string[]): Promise<Outcome> =>
  succeeded(launchOrrery({ cwd: root }, ...argv));

const source = (): string => readFileSync(join(root, MAIN), "utf8");
function edit(from: string, to: string): void {
  const before = source();
  assert.ok(before.includes(from), `${MAIN} has no ${from}`);
  writeFileSync(join(root, MAIN), before.replace(from, to));
}

interface Guestbook {
  add(text: string): Promise<void>;
  notes(): Promise<string[]>;
}

const backendId = (): string =>
  JSON.parse(readFileSync(join(root, ".icp/data/mappings/local.ids.json"), "utf8")).backend;

function backend(): Guestbook {
  const service: IDL.InterfaceFactory = () =>
    IDL.Service({
      add: IDL.Func([IDL.Text], [], []),
      notes: IDL.Func([], [IDL.Vec(IDL.Text)], ["query"]),
    });
  return Actor.createActor(service, {
    agent: agentFor(network),
    canisterId: backendId(),
  }) as unknown as Guestbook;
}

before(async () => {
  await succeeded(launchOrrery({ cwd: scratch }, "new", "guestbook", "--json"));
  // The packages that `npm install` would bring.
  symlinkSync(join(REPOSITORY, "node_modules"), join(root, "node_modules"), "junction");
  network = await startNetwork({ stateDir: join(root, ".orrery") });
});
after(async () => {
  await network.end("SIGTERM");
  rmSync(scratch, { recursive: true, force: true });
});

describe("a new project", () => {
  test("has what its pages say, and is made in empty directories only", async () => {
    for (const name of [
      ".gitignore",
      "README.md",
      "icp.yaml",
      "index.html",
      "package.json",
      "vite.config.ts",
      MAIN,
    ]) {
      assert.ok(existsSync(join(root, name)), name);
      assert.doesNotMatch(readFileSync(join(root, name), "utf8"), /__[A-Z]+__/, name);
    }
    const again = await orrery({ cwd: scratch }, "new", "guestbook");
    assert.equal(again.code, 1);
    assert.match(again.err, /not empty/);
    assert.match((await orrery({ cwd: scratch }, "new", "Guest Book")).err, /cannot be the name/);
    const other = await orrery({ cwd: scratch }, "new", "other", "--template", "typescript");
    assert.equal(other.code, 0, other.err);
    assert.ok(readdirSync(join(scratch, "other/src/backend")).includes("index.ts"));
  });

  test("does not build outside of a project, and names canisters that it has", async () => {
    const outside = await orrery({ cwd: scratch }, "build");
    assert.equal(outside.code, 1);
    assert.match(outside.err, /no icp\.yaml/);
    assert.match((await orrery({ cwd: root }, "build", "moon")).err, /no canister moon; it has backend/);
  });

  test("builds, with bindings; an error of the compiler is shown with its line and a caret", async () => {
    const { canisters } = JSON.parse((await succeed("build", "--json")).out) as {
      readonly canisters: readonly { readonly name: string; readonly wasm: string; readonly bytes: number }[];
    };
    assert.equal(canisters[0]?.name, "backend");
    const wasm = readFileSync(canisters[0]?.wasm ?? "");
    assert.equal(wasm.length, canisters[0]?.bytes);
    assert.ok(WebAssembly.validate(wasm));
    assert.match(readFileSync(join(root, "src/bindings/backend.ts"), "utf8"), /notes\(\)/);
    edit("List.pushFront(entries, text);", "List.pushFront(entries, 5);");
    const failed = await orrery({ cwd: root }, "build");
    assert.equal(failed.code, 1);
    assert.match(failed.err, /src\/backend\/main\.mo:14:40: error \[M0\d+\]/);
    assert.match(failed.err, /14 \| {5}entries := List\.pushFront\(entries, 5\);\n {3}\| {40}\^/);
    edit("List.pushFront(entries, 5);", "List.pushFront(entries, text);");
  });

  test("is deployed, called, and deployed again with its data kept", async () => {
    assert.match((await succeed("deploy")).out, /backend +installed/);
    await backend().add("one");
    assert.match((await succeed("deploy")).out, /backend +unchanged/);
    edit("List.pushFront(entries, text);", 'List.pushFront(entries, text # "!");');
    assert.match((await succeed("deploy")).out, /backend +upgraded/);
    await backend().add("two");
    assert.deepEqual(await backend().notes(), ["two!", "one"]);
    assert.match((await succeed("deploy", "--mode", "reinstall")).out, /backend +reinstalled/);
    assert.deepEqual(await backend().notes(), []);
  });

  test("a change that the network refuses says why, in the network's words", async () => {
    await backend().add("kept");
    const before = source();
    edit("var entries = List.empty<Text>();", "let entries : Nat = 5; var list = List.empty<Text>();");
    writeFileSync(
      join(root, MAIN),
      source().replaceAll("(entries", "(list").replace("entries :=", "list :="),
    );
    const refused = await orrery({ cwd: root }, "deploy");
    assert.equal(refused.code, 1, refused.out);
    assert.match(refused.err, /canister backend: .*(compatib|stable)/i);
    assert.deepEqual(await backend().notes(), ["kept!"]);
    writeFileSync(join(root, MAIN), before);
  });

  test("without a network, a deployment says how to start one", async () => {
    const lost = await orrery({ cwd: root }, "deploy", "--url", "http://127.0.0.1:1");
    assert.equal(lost.code, 1);
    assert.match(lost.err, /no network.*orrery start/);
  });

  test("while it is watched, a save is live with the data kept, and a broken one waits for the next", async () => {
    const watching = launchOrrery({ cwd: root }, "deploy", "--watch");
    try {
      await watching.said(/Watching/);
      edit('text # "!"', 'text # "?"');
      await watching.said(/Live after/);
      await backend().add("three");
      assert.deepEqual(await backend().notes(), ["three?", "kept!"]);
      edit('text # "?"', "text # 5");
      await watching.said(/error \[M0\d+\]/);
      edit("text # 5", 'text # "."');
      await watching.said(/Live after/);
      await backend().add("four");
      assert.deepEqual(await backend().notes(), ["four.", "three?", "kept!"]);
      // Somebody deletes it: the next save makes it anew.
      const canister_id = Principal.fromText(backendId());
      const management = managementOf(agentFor(network), canister_id);
      await management.stop_canister({ canister_id });
      await management.delete_canister({ canister_id });
      edit('text # "."', 'text # ":"');
      await watching.said(/Live after/);
      assert.notEqual(backendId(), canister_id.toText());
      await backend().add("five");
      assert.deepEqual(await backend().notes(), ["five:"]);
      edit('text # ":"', 'text # "."');
      await watching.said(/Live after/);
      watching.child.kill("SIGINT");
      assert.equal((await watching.ended).code, 0);
    } finally {
      watching.child.kill("SIGKILL");
    }
  });

  test("its page comes from Vite with the network behind it", async () => {
    // Vite reads its configuration as a program would that runs in the project.
    const server = await createServer({ root, server: { port: 0, host: "127.0.0.1" }, logLevel: "error" });
    try {
      await server.listen();
      const url = server.resolvedUrls?.local[0] ?? "";
      const page = await fetch(url);
      assert.match(await page.text(), /Leave a note/);
      const cookie = decodeURIComponent(page.headers.get("set-cookie") ?? "");
      assert.match(
        cookie,
        /^ic_env=ic_root_key=[0-9a-f]{266}&PUBLIC_CANISTER_ID:backend=[a-z0-9-]+; SameSite=Lax$/,
      );
      assert.ok(cookie.includes(network.document.root_key));
      const status = await fetch(new URL("/api/v2/status", url));
      assert.equal(status.headers.get("content-type"), "application/cbor");
      const script = await (await fetch(new URL("/src/frontend/main.ts", url))).text();
      assert.match(script, /bindings\/backend/);
    } finally {
      await server.close();
    }
  });

  test("its page works in a browser", {
    skip: CHROMIUM === undefined ? "Chromium not on this machine" : false,
  }, async () => {
    const server = await createServer({ root, server: { port: 0, host: "127.0.0.1" }, logLevel: "error" });
    const browser = await launchBrowser();
    try {
      await server.listen();
      const page = await browser.newPage();
      await page.goto(server.resolvedUrls?.local[0] ?? "");
      await page.getByLabel("Leave a note").fill("from a browser");
      await page.getByRole("button", { name: "Add" }).click();
      await page.getByRole("listitem").filter({ hasText: "from a browser." }).waitFor();
      assert.deepEqual((await backend().notes()).at(0), "from a browser.");
      assert.equal(await page.getByRole("status").textContent(), "");
      const shot = process.env["ORRERY_SCREENSHOTS"];
      if (shot !== undefined) await page.screenshot({ path: join(shot, "project.png") });
    } finally {
      await browser.close();
      await server.close();
    }
  });
});
