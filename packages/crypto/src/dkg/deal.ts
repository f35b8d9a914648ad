/** Making a dealing: the one message that a dealer of non-interactive key generation sends (eprint 2021/339, §7). */
import { equalBytes, err, ok, type Result } from "@orrery/base";
import { BLS_ORDER, bigintFromBytes } from "../bls.ts";
import { checkConfig, type DkgConfig, type Setting } from "./config.ts";
import { type Curve, SCALAR_BYTES } from "./curve.ts";
import type { Dealing } from "./dealing.ts";
import { digest } from "./oracle.ts";
import { evaluate, evaluateInGroup } from "./polynomial.ts";
import { proveBinding } from "./proof-binding.ts";
import { proveChunking } from "./proof-chunking.ts";
import { proveSharing } from "./proof-sharing.ts";
import { type SecretSource, secretSource } from "./secrets.ts";
import {
  bindingBase,
  CHUNKS,
  chunksOf,
  dealerContext,
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

/** All that a dealer knows of its dealing. */
export interface DealingSecrets {
  readonly source: SecretSource;
  readonly polynomial: readonly bigint[];
  readonly shares: readonly bigint[];
  /** Of each share. */
  readonly chunks: readonly (readonly bigint[])[];
  /** r_j. */
  readonly randomness: readonly bigint[];
}

export function drawSecrets(
  setting: Setting,
  dealer: number,
  seed: Uint8Array,
  share: Uint8Array | undefined,
): DealingSecrets {
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
  { polynomial, chunks, randomness }: DealingSecrets,
): { readonly statement: Statement; readonly encoded: EncodedStatement } {
  const { g1, g2 } = curve;
  const coefficients = polynomial.map((scalar) => g2.multiply(g2.generator, scalar));
  const randomizers = randomness.map((r) => g1.multiply(g1.generator, r));
  const ciphertexts = setting.keys.map((key, i) =>
    randomness.map((r, j) => {
      const chunk = (chunks[i] as readonly bigint[])[j] as bigint;
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

/** Encrypts and proves. */
export function dealSecrets(
  curve: Curve,
  setting: Setting,
  dealer: number,
  secrets: DealingSecrets,
): Dealing {
  const { statement, encoded } = state(curve, setting, dealer, secrets);
  return {
    ...encoded,
    binding: proveBinding(curve, statement, secrets.randomness, secrets.source),
    sharing: proveSharing(curve, statement, secrets, secrets.source),
    chunking: proveChunking(curve, statement, secrets, secrets.source),
  };
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
  return ok(dealSecrets(curve, setting, dealer, drawSecrets(setting, dealer, seed, share)));
}
