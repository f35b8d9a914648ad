/**
 * Nothing of PicJS is forgotten: the names come from the installed package itself, so that a new version with more of them fails here until there
 * is a test that calls each and `ic-orrery/pic` has each.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as ours from "ic-orrery/pic";

const require = createRequire(import.meta.url);
const theirs = require("@dfinity/pic") as Readonly<Record<string, unknown>>;
const DIST = dirname(require.resolve("@dfinity/pic"));
const HERE = fileURLToPath(new URL(".", import.meta.url));
const LIBRARY = fileURLToPath(new URL("../../../packages/orrery/src/pic/", import.meta.url));
/** They take a client that the package keeps to itself, so that nobody can call them. */
const UNCALLABLE = ["createActorClass", "createDeferredActorClass"];

/** A name that the package exports, its kind, and what is declared between its braces. */
interface Declared {
  readonly name: string;
  readonly kind: string;
  readonly body: string;
}

function declarations(): readonly Declared[] {
  const index = readFileSync(join(DIST, "index.d.ts"), "utf8");
  const files = [...index.matchAll(/export \* from '\.\/(.+)';/g)].map(([, file]) => `${file}.d.ts`);
  const pattern =
    /^export (?:declare )?(class|interface|type|enum|function) (\w+)(?:[^\n]*\{\n([\s\S]*?)\n\})?/gm;
  return files.flatMap((file) => {
    assert.ok(existsSync(join(DIST, file)), file);
    const text = readFileSync(join(DIST, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
    return [...text.matchAll(pattern)].map(([, kind = "", name = "", body = ""]) => ({ name, kind, body }));
  });
}

/** Members by name; those that are private are declared with that word before them. */
function members(body: string): readonly string[] {
  const names = [...body.matchAll(/^ {4}(?:static |readonly )*(\w+)\??\s*[(<:]/gm)].map(
    ([, name]) => name ?? "",
  );
  return [...new Set(names)].filter((name) => name !== "new" && name !== "constructor");
}

const ALL = declarations();
const CLASSES = ALL.filter(({ kind }) => kind === "class");
/** They have methods of their own beside the canister's. */
const ACTORS = ALL.filter(({ name }) => name === "Actor" || name === "DeferredActor");
const METHODS = [...CLASSES, ...ACTORS].flatMap(({ name, body }) =>
  members(body).map((method) => ({ of: name, method })),
);

function untested(texts: readonly string[], names: readonly string[]): readonly string[] {
  const calls = texts.join("\n");
  return names.filter((name) => !new RegExp(`(?:\\.|\\b)${name}(?:<[^>()]*>)?\\(`).test(calls));
}

function sources(folder: string, pattern: RegExp): readonly string[] {
  return readdirSync(folder)
    .filter((name) => pattern.test(name))
    .map((name) => readFileSync(join(folder, name), "utf8"));
}

describe("PicJS's interface", () => {
  const functions = ALL.filter(({ kind, name }) => kind === "function" && !UNCALLABLE.includes(name));
  const called = [...METHODS.map(({ method }) => method), ...functions.map(({ name }) => name)];

  test("is read whole: what is declared is what the package has when it runs", () => {
    for (const { name, body } of CLASSES) {
      const type = Reflect.get(theirs, name) as { readonly prototype: object };
      const there = new Set([
        ...Object.getOwnPropertyNames(type),
        ...Object.getOwnPropertyNames(type.prototype),
      ]);
      const read = members(body);
      assert.deepEqual(
        read.filter((method) => !there.has(method)),
        [],
        name,
      );
      assert.ok(read.length > (name === "PocketIc" ? 30 : 2), `${name}: ${read.join()}`);
    }
    assert.deepEqual(
      ACTORS.flatMap(({ body }) => members(body)),
      ["setPrincipal", "setIdentity", "setPrincipal", "setIdentity"],
    );
    const values = ALL.filter(({ kind }) => /class|enum|function/.test(kind)).map(({ name }) => name);
    assert.deepEqual([...values, "ServerError"].toSorted(), Object.keys(theirs).toSorted());
    assert.ok(!("PocketIcClient" in theirs) && ALL.every(({ name }) => name !== "PocketIcClient"));
  });

  test("is called by tests of the unmodified client over the server, all of it", () => {
    assert.deepEqual(untested(sources(HERE, /^pic-js.*\.test\.ts$/), called), []);
    assert.deepEqual(untested(["pic.moon()"], ["moon", "sun"]), ["sun"]);
  });

  test("is called by tests of the library's own form of it, all of it", () => {
    assert.deepEqual(untested(sources(LIBRARY, /\.test\.ts$/), called), []);
  });

  test("is there in the library under the same names, with the same values of its enumerations", () => {
    for (const name of Object.keys(theirs).filter((each) => !UNCALLABLE.includes(each)))
      assert.equal(typeof Reflect.get(ours, name), typeof Reflect.get(theirs, name), name);
    for (const { name } of ALL.filter(({ kind }) => kind === "enum"))
      assert.deepEqual(
        Object.entries(Reflect.get(ours, name) as object),
        Object.entries(Reflect.get(theirs, name) as object),
        name,
      );
    for (const { of, method } of METHODS.filter((each) => CLASSES.some(({ name }) => name === each.of))) {
      const type = Reflect.get(ours, of) as { readonly prototype: object };
      const has = method in type.prototype || method in type;
      assert.ok(has, `${of}.${method}`);
    }
  });

  test("has its options and results in the library, each with every member", () => {
    const text = sources(LIBRARY, /^types\.ts$/).join();
    /** What the library says of a type, those included that it is made from. */
    const said = (name: string, seen: ReadonlySet<string> = new Set()): string => {
      const pattern = new RegExp(
        `^(?:export )?(?:interface|type) ${name}\\b([\\s\\S]*?)(?=^(?:export |interface )|\\0)`,
        "m",
      );
      const own = pattern.exec(`${text}\0`)?.[1];
      if (own === undefined || seen.has(name)) return "";
      const made = [...own.matchAll(/(?:extends|&|=|\|)\s+(\w+)/g)].map(([, one]) => one ?? "");
      return `${name} ${own}${made.map((one) => said(one, new Set([...seen, name]))).join("")}`;
    };
    for (const { name, body } of ALL.filter(({ kind }) => /interface|type/.test(kind))) {
      const words = new Set(said(name).match(/\w+/g));
      assert.deepEqual(
        [name, ...members(body)].filter((word) => !words.has(word)),
        [],
        name,
      );
    }
  });
});
