/** What the network said reaches whoever deploys, also when it said it late. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CertifiedRejectErrorCode, RejectError } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { rejection } from "./deploy.ts";
import { managementOf } from "./management.ts";

test("a refusal that comes after the call was accepted keeps its words", async () => {
  // As the agent tells of it, which by then has forgotten what was called.
  const refused = (): never => {
    throw RejectError.fromCode(
      new CertifiedRejectErrorCode(new Uint8Array(32) as never, 5, "not compatible", "IC0503"),
    );
  };
  const management = managementOf({ update: async () => refused() }, Principal.managementCanister());
  await assert.rejects(management.update(Principal.managementCanister(), {}), (error) => {
    assert.equal(rejection(error), "not compatible");
    return true;
  });
});
