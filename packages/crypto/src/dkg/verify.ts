/** Judging a dealing: everything that anyone needs to know of it before it counts (eprint 2021/339, §7). */
import { equalBytes, err, ok, type Result } from "@orrery/base";
import { BLS_ORDER } from "../bls.ts";
import { checkConfig, type DkgConfig, type Setting } from "./config.ts";
import { type Curve, G2_BYTES } from "./curve.ts";
import { type Dealing, encodeDealing } from "./dealing.ts";
import { firstFalse } from "./equations.ts";
import { digest } from "./oracle.ts";
import { evaluateInGroup } from "./polynomial.ts";
import { bindingClaim } from "./proof-binding.ts";
import { chunkingClaim, REPETITIONS } from "./proof-chunking.ts";
import { sharingClaim } from "./proof-sharing.ts";
import { CHUNKS, decodeStatement } from "./statement.ts";

/** What is wrong with the numbers of points, or null. */
function countProblem(config: DkgConfig, dealing: Dealing): string | null {
  const { dealer, coefficients, randomizers, bindings, ciphertexts, chunking } = dealing;
  const receivers = config.receivers.length;
  if (!Number.isSafeInteger(dealer) || dealer < 0 || dealer >= config.dealers)
    return `dealer ${dealer} is none of the ${config.dealers} dealers`;
  if (coefficients.length !== config.threshold)
    return `${coefficients.length} coefficients for a threshold of ${config.threshold}`;
  if (coefficients.some((bytes) => bytes.length !== G2_BYTES)) return "a coefficient of another length";
  if (ciphertexts.length !== receivers)
    return `ciphertexts for ${ciphertexts.length} of ${receivers} receivers`;
  const chunks = [randomizers, bindings, ...ciphertexts];
  if (chunks.some((list) => list.length !== CHUNKS)) return `not ${CHUNKS} chunks`;
  const { b, c, d, responsesR, responsesS } = chunking;
  const repeated = [b, c, responsesS].every((list) => list.length === REPETITIONS);
  if (!repeated || d.length !== receivers + 1 || responsesR.length !== receivers)
    return "a proof of chunking of another size";
  return null;
}

function scalarsInRange({ binding, sharing, chunking }: Dealing): boolean {
  const scalars = [
    binding.response,
    sharing.responseR,
    sharing.responseA,
    ...chunking.responsesR,
    chunking.responseB,
  ];
  return scalars.every((scalar) => scalar >= 0n && scalar < BLS_ORDER);
}

/** As `verifyDealing`, of a configuration that was checked. */
export function judgeDealing(curve: Curve, setting: Setting, dealing: Dealing): Result<null, string> {
  const refuse = (why: string): Result<null, string> =>
    err(`the dealing of dealer ${dealing.dealer} is refused: ${why}`);
  const problem = countProblem(setting.config, dealing);
  if (problem !== null) return refuse(problem);
  if (!scalarsInRange(dealing)) return refuse("a response is not below the order");
  const statement = decodeStatement(curve, setting, dealing);
  if (statement === null) return refuse("one of its points is not of the group");
  if (setting.reshared !== null) {
    const expected = curve.g2.encode(evaluateInGroup(curve.g2, setting.reshared, dealing.dealer + 1));
    if (!equalBytes(expected, dealing.coefficients[0] as Uint8Array))
      return refuse("it does not deal the dealer's share of the key");
  }
  const claims = [
    bindingClaim(curve, statement, dealing.binding),
    sharingClaim(curve, statement, dealing.sharing),
    chunkingClaim(curve, statement, dealing.chunking),
  ];
  const missing = claims.indexOf(null);
  const names = ["binding", "sharing", "chunking"];
  if (missing >= 0) return refuse(`its proof of ${names[missing]} does not hold`);
  const seed = digest("orrery-dkg-batch", setting.context, encodeDealing(dealing));
  const wrong = firstFalse(
    curve,
    claims.filter((claim) => claim !== null),
    seed,
  );
  return wrong === null ? ok(null) : refuse(`its proof of ${wrong} does not hold`);
}

/**
 * Whether every receiver can open its share of the dealing, and what it opens is the share. Anyone decides the same from the same bytes.
 * Who sent the dealing is not judged: it must be signed by its dealer.
 */
export function verifyDealing(curve: Curve, config: DkgConfig, dealing: Dealing): Result<null, string> {
  const checked = checkConfig(curve, config);
  return checked.ok ? judgeDealing(curve, checked.value, dealing) : checked;
}
