import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Command, launch, refused, succeeded } from "./command.testkit.ts";

const program = (source: string, env?: NodeJS.ProcessEnv): Command =>
  launch(
    { cwd: import.meta.dirname, ...(env === undefined ? {} : { env }) },
    process.execPath,
    "--eval",
    source,
  );

describe("a command under way", () => {
  test("what it says is matched once, in either stream, also when it was said before", async () => {
    const command = program(`
      console.log("one two");
      console.error("three");
      setTimeout(() => console.log("two four"), 10);
    `);
    assert.equal((await command.said(/t(w)o/))[1], "w");
    await command.said(/three/);
    await command.said(/two four/);
    assert.equal((await command.ended).out, "one two\ntwo four\n");
    await assert.rejects(command.said(/one/), /ended with 0 before it said \/one\/; since the last:\n\n$/);
  });

  test("what it was told to do is not what it said", async () => {
    const command = program('console.log("so"); /* moon */');
    await assert.rejects(command.said(/moon|stars/), (error: Error) => {
      assert.equal(error.message, "ended with 0 before it said /moon|stars/; since the last:\nso\n");
      return true;
    });
  });

  test("one that a signal ends has neither succeeded nor refused, and the signal is named", async () => {
    const command = program('console.log("up"); setInterval(() => {}, 1_000)');
    await command.said(/up/);
    command.child.kill("SIGKILL");
    assert.deepEqual(await command.ended, { code: null, signal: "SIGKILL", out: "up\n", err: "" });
    await assert.rejects(succeeded(command), /ended with SIGKILL:\nup/);
    await assert.rejects(refused(command), /ended with SIGKILL:\nup/);
    await assert.rejects(command.said(/down/), /ended with SIGKILL before it said/);
  });

  test("success and refusal are told from each other", async () => {
    assert.equal((await succeeded(program('console.log("well")'))).out, "well\n");
    assert.equal((await refused(program("process.exit(3)"))).code, 3);
    await assert.rejects(
      succeeded(program('console.error("ill"); process.exit(3)'), () => "the log"),
      /ended with 3:\nill\nthe log/,
    );
    await assert.rejects(refused(program("")), /ended with 0/);
  });

  test("its environment is what it is given, and a program that is not there is an error", async () => {
    const { out } = await succeeded(program("console.log(process.env.A, process.env.PATH)", { A: "b" }));
    assert.equal(out, "b undefined\n");
    await assert.rejects(launch({ cwd: import.meta.dirname }, "no-such-program").said(/anything/), /ENOENT/);
  });
});
