import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { INTERFACE_VARIABLE, parseFlags } from "./flags.ts";

/** What `icp network start` composes for a project without settings of its own. */
const USUAL = [
  ...["--interface-version", "1.1.0", "--state-dir", "/p/.icp/cache/networks/local/state"],
  ...["--bind", "127.0.0.1", "--gateway-port", "8000", "--status-dir", "/status", "--domain=127.0.0.1"],
];

function refusal(...argv: readonly string[]): string {
  try {
    parseFlags(argv, {});
  } catch (error) {
    assert.equal((error as { code?: string }).code, "launcher_usage");
    return (error as Error).message;
  }
  throw new Error(`not refused: ${argv.join(" ")}`);
}

test("launcher flags: what icp composes", () => {
  const flags = parseFlags(USUAL, {});
  assert.equal(flags.gatewayPort, 8000);
  assert.equal(flags.stateDir, "/p/.icp/cache/networks/local/state");
  assert.equal(flags.statusDir, "/status");
  assert.deepEqual(flags.domains, ["127.0.0.1"]);
  assert.deepEqual(flags.subnets, []);
  assert.deepEqual(flags.warnings, []);
});

test("launcher flags: values in a word of their own or after an equals sign, repeated ones kept in order", () => {
  const flags = parseFlags(
    ["--subnet=application", "--subnet", "verified_application", "--subnet=sns", "--domain", "a.test"].concat(
      ["--domain=b.test", "--artificial-delay-ms=250", "--verbose"],
    ),
    {},
  );
  assert.deepEqual(flags.subnets, ["application", "verified-application", "sns"]);
  assert.deepEqual(flags.domains, ["a.test", "b.test"]);
  assert.equal(flags.artificialDelayMs, 250);
  assert.equal(flags.verbose, true);
  assert.equal(flags.gatewayPort, 0);
});

test("launcher flags: wrong values are refused with what was expected", () => {
  assert.match(refusal("--gateway-port", "65536"), /--gateway-port is "65536".*0 to 65535/);
  assert.match(refusal("--gateway-port=8e3"), /"8e3"/);
  assert.match(refusal("--gateway-port"), /needs a value/);
  assert.match(refusal("--subnet=moon"), /"moon".*application/);
  assert.match(refusal("--bind=localhost"), /IP address/);
  assert.match(refusal("--verbose=yes"), /takes no value/);
  assert.match(refusal("--interface-version=new"), /"new"/);
});

test("launcher flags: unknown ones are errors, or warnings under a newer interface of the same major version", () => {
  assert.match(refusal("--quantum"), /unknown flag --quantum/);
  assert.match(refusal("--interface-version=1.1.0", "--quantum=1"), /unknown flag --quantum/);
  const newer = parseFlags(["--interface-version=1.2.0", "--quantum", "7", "--verbose"], {});
  assert.equal(newer.verbose, true);
  assert.match(newer.warnings.join(), /--quantum/);
  assert.match(parseFlags(["--quantum"], { [INTERFACE_VARIABLE]: "1.3.0" }).warnings.join(), /--quantum/);
  assert.match(refusal("--interface-version=2.0.0"), /2\.0\.0.*1\.1\.0/);
});

test("launcher flags: any words are flags or a refusal in words", () => {
  const word = fc.oneof(
    fc.constantFrom("--subnet", "--ii", "--bind", "--gateway-port", "--interface-version", "1.9.0", "="),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (argv) => {
      try {
        parseFlags(argv, {});
      } catch (error) {
        assert.equal((error as { code?: string }).code, "launcher_usage");
      }
    }),
  );
});
