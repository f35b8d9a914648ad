/** Making a dealing, and judging one: the two ends of one message of non-interactive key generation (eprint 2021/339, §7). */
import { equalBytes, err, ok, type Result } from "@orrery/base";
import { BLS_ORDER, bigintFromBytes } from "../bls.ts";
import { checkConfig, type DkgConfig, type Setting } from "./config.ts";
import { type Curve, G2_BYTES, SCALAR_BYTES } from "./curve.ts";
import { type Dealing, encodeDealing } from "./dealing.ts";
import { firstFalse } from "./equations.ts";
import { digest } from "./oracle.ts";
import { evaluate, evaluateInGroup } from "./polynomial.ts";
import { bindingClaim, proveBinding } from "./proof-binding.ts";
import { chunkingClaim, proveChunking, REPETITIONS } from "./proof-chunking.ts";
import { proveSharing, sharingClaim } from "./proof-sharing.ts";
import { type SecretSource, secretSource } from "./secrets.ts";
import {
  bindingBase,
  CHUNKS,
  chunksOf,
  dealerContext,
  decodeStatement,
  type EncodedStatement,
  instanceOf,
  type Statement,
} from "./statement.ts";

export interface CreateDealingOptions {
  readonly config: DkgConfig;
  /** From 0, among the dealers. */
  readonly dealer: number;
  /** At least 32 fresh random bytes: whoever knows them knows every share that is dealt. */
  readonly seed: Uint8Array;
  /** When a key is reshared: the dealer's share of it, 32 bytes. */
  readonly share?: Uint8Array;
}

interface Secrets {
  readonly source: SecretSource;
  readonly polynomial: readonly bigint[];
  readonly shares: readonly bigint[];
  readonly chunks: readonly (readonly number[])[];
  /** r_j. */
  readonly randomness: readonly bigint[];
}

function drawSecrets(
  setting: Setting,
  dealer: number,
  seed: Uint8Array,
  share: Uint8Array | undefined,
): Secrets {
  const context = digest("orrery-dkg-secrets", dealerContext(setting, dealer), share ?? new Uint8Array(0));
  const source = secretSource(seed, "dkg dealing", context);
  const polynomial = Array.from({ length: setting.config.threshold }, (_, k) =>
    k === 0 && share !== undefined ? bigintFromBytes(share) : source.scalar(`coefficient ${k}`),
  );
  const shares = setting.keys.map((_, i) => evaluate(polynomial, BigInt(i + 1)));
  const randomness = Array.from({ length: CHUNKS }, (_, j) => source.scalar(`randomizer ${j}`));
  return { source, polynomial, shares, chunks: shares.map(chunksOf), randomness };
}

/** Encrypts; both forms of the statement. */
function state(
  curve: Curve,
  setting: Setting,
  dealer: number,
  { polynomial, chunks, randomness }: Secrets,
): { readonly statement: Statement; readonly encoded: EncodedStatement } {
  const { g1, g2 } = curve;
  const coefficients = polynomial.map((scalar) => g2.multiply(g2.generator, scalar));
  const randomizers = randomness.map((r) => g1.multiply(g1.generator, r));
  const ciphertexts = setting.keys.map((key, i) =>
    randomness.map((r, j) => {
      const chunk = BigInt((chunks[i] as readonly number[])[j] as number);
      return g1.add(g1.multiply(key, r), g1.multiply(g1.generator, chunk));
    }),
  );
  const open = {
    dealer,
    coefficients: coefficients.map((point) => g2.encode(point)),
    randomizers: randomizers.map((point) => g1.encode(point)),
    ciphertexts: ciphertexts.map((row) => row.map((point) => g1.encode(point))),
  };
  const base = bindingBase(curve, setting, open);
  const bindings = randomness.map((r) => g1.multiply(base, r));
  const encoded = { ...open, bindings: bindings.map((point) => g1.encode(point)) };
  const instance = instanceOf(setting, encoded);
  return {
    statement: { setting, coefficients, randomizers, bindings, ciphertexts, base, instance },
    encoded,
  };
}

function shareProblem(
  curve: Curve,
  setting: Setting,
  dealer: number,
  share: Uint8Array | undefined,
): string | null {
  if (setting.reshared === null) return share === undefined ? null : "a fresh key is dealt without a share";
  if (share === undefined) return "a key is reshared with the dealer's share of it";
  const scalar = share.length === SCALAR_BYTES ? bigintFromBytes(share) : 0n;
  if (scalar === 0n || scalar >= BLS_ORDER) return "the dealer's share is not a scalar";
  const { g2 } = curve;
  const own = g2.encode(g2.multiply(g2.generator, scalar));
  const expected = g2.encode(evaluateInGroup(g2, setting.reshared, dealer + 1));
  return equalBytes(own, expected) ? null : "the dealer's share is not of the reshared key";
}

/** A dealing of the configuration. Same options, same bytes. The error says what of the options does not fit. */
export function createDealing(curve: Curve, options: CreateDealingOptions): Result<Dealing, string> {
  const { config, dealer, seed, share } = options;
  const checked = checkConfig(curve, config);
  if (!checked.ok) return checked;
  const setting = checked.value;
  if (!Number.isSafeInteger(dealer) || dealer < 0 || dealer >= config.dealers)
    return err(`dealer ${dealer} is none of the ${config.dealers} dealers`);
  const problem = shareProblem(curve, setting, dealer, share);
  if (problem !== null) return err(problem);
  const secrets = drawSecrets(setting, dealer, seed, share);
  const { statement, encoded } = state(curve, setting, dealer, secrets);
  return ok({
    ...encoded,
    binding: proveBinding(curve, statement, secrets.randomness, secrets.source),
    sharing: proveSharing(curve, statement, secrets, secrets.source),
    chunking: proveChunking(curve, statement, secrets, secrets.source),
  });
}

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
