/**
 * Bugs to plant into the rules of consensus, so that the checkers are tested themselves. The product has no switch for any: each is a change
 * to the text of one module, made while that module is loaded for a simulation alone (`planted.fuzz.ts`). A text that is not there exactly once
 * is an error, so that no plant outlives its rule.
 */

export interface Plant {
  readonly what: string;
  /** In the folder of consensus's members. */
  readonly file: string;
  readonly rule: string;
  readonly planted: string;
}

type Row = readonly [what: string, rule: string, planted: string];

const ROWS: Readonly<Record<string, readonly Row[]>> = {
  "duties.ts": [
    ["notary does not wait", "  return initialNotaryDelayNs + turn + backlog;", "  return turn + backlog;"],
    [
      "notary does not wait for better ranks",
      "  return initialNotaryDelayNs + turn + backlog;",
      "  return initialNotaryDelayNs + backlog;",
    ],
    [
      "maker does not wait for its rank",
      "  if (now < round.startedAt + makerDelay(view, rank)) return null;\n",
      "",
    ],
    [
      "maker makes one block after another",
      "isHeldBack(view) || round.firstSigned.has(self)) return null;",
      "isHeldBack(view) || [...round.proposals.values()].some((made) => made.signer === self && made.block.context.time === now)) return null;\n  for (const [key, made] of round.proposals) if (made.signer === self) round.proposals.delete(key);",
    ],
    [
      "notary prefers high ranks",
      "if (proposal.block.rank < rank) lowest",
      "if (rank === Number.POSITIVE_INFINITY || proposal.block.rank > rank) lowest",
    ],
    ["proven equivocators count", "    if (round.equivocations.has(proposal.signer)) continue;\n", ""],
    [
      "finalizer takes one of several",
      "if (vote === undefined || others.length > 0) continue;",
      "if (vote === undefined) continue;",
    ],
    [
      "finalizer forgets what it supported",
      "if (!supportsOther && proposal !== undefined)",
      "if (proposal !== undefined)",
    ],
    ["beacons run ahead", "  if (pool.notarizedHeight < pool.beaconHeight) return null;\n", ""],
    [
      "tapes of blocks that are not final",
      "height <= pool.finalizedHeight; height++) {\n    if (pool",
      "height <= pool.notarizedHeight; height++) {\n    if (pool",
    ],
    [
      "rounds go on without certification",
      "    pool.notarizedHeight - pool.certifiedHeight >= CERTIFICATION_GAP_MAX ||\n",
      "",
    ],
    ["a halted subnet goes on", "    isHalted ||\n", ""],
    [
      "block makers ignore what was ordered",
      "chain(tip.height, tip.hash, certifiedHeight)",
      "chain(tip.height, tip.hash, tip.height)",
    ],
    [
      "blocks on states that the maker does not have",
      "Math.min(pool.certifiedHeight, view.executed)",
      "pool.notarizedHeight",
    ],
  ],
  "committee.ts": [
    [
      "quorum of f + 1",
      "return committeeSize(members) - faultsOf(members);",
      "return committeeSize(members) - 2 * faultsOf(members);",
    ],
    [
      "everybody is a quorum",
      "return committeeSize(members) - faultsOf(members);",
      "return committeeSize(members);",
    ],
    [
      "votes of one too few",
      "committee: new Set(committee), quorum: quorumOf(members) };",
      "committee: new Set(committee), quorum: Math.max(1, quorumOf(members) - 1) };",
    ],
    [
      "randomness by f members",
      "export function randomnessThreshold(members: number): number {\n  return faultsOf(members) + 1;",
      "export function randomnessThreshold(members: number): number {\n  return Math.max(1, faultsOf(members));",
    ],
    [
      "f makers a height",
      "export function makersOf(members: number): number {\n  return faultsOf(members) + 1;",
      "export function makersOf(members: number): number {\n  return Math.max(1, faultsOf(members));",
    ],
    [
      "leaders are always the same",
      'shuffled("orrery-block-makers", seed, members)',
      "Array.from({ length: members }, (_, i) => i)",
    ],
  ],
  "aggregate.ts": [
    ["certified by f + 1", 'kind === "certification" ? quorumOf(members) : ', ""],
    ["votes without their block", "    if (!round.proposals.has(key)) continue;\n", ""],
    [
      "finality without notarization",
      '    if (kind === "finalization" && !round.notarized.has(key)) continue;\n',
      "",
    ],
  ],
  "validate.ts": [
    ["times go back", '  if (time <= parent.time) return invalid("its time does not increase");\n', ""],
    [
      "certified heights go back",
      '  if (certifiedHeight < parent.certifiedHeight) return invalid("its certified height decreases");\n',
      "",
    ],
    [
      "registry versions go back",
      '  if (registryVersion < parent.registryVersion) return invalid("its registry version decreases");\n',
      "",
    ],
    ["times ahead of the clock", "time > now || ", ""],
    [
      "payloads are not judged",
      '  return judged.kind === "invalid" ? invalid(judged.reason) : judged.kind;',
      '  return judged.kind === "later" ? "later" : "valid";',
    ],
    [
      "payloads judged without what was ordered",
      "pool.chain(height - 1, parent.hash, certifiedHeight)",
      "pool.chain(height - 1, parent.hash, height - 1)",
    ],
    [
      "ranks are not checked",
      '  if (round.roles.makers.indexOf(signer) !== block.rank) return invalid("its maker does not have its rank");\n',
      "",
    ],
    [
      "hashes are not checked",
      '  if (!equalBytes(blockHash(block), hash)) return invalid("its hash is another one\'s");\n',
      "",
    ],
    [
      "makers' signatures are not checked",
      "return place.crypto.verify(signer, proposalContent",
      "return true || place.crypto.verify(signer, proposalContent",
    ],
    [
      "votes' signatures are not checked",
      "if (!isKnown && !place.crypto.verify(signer, message, signature))",
      "if (false)",
    ],
    [
      "who voted may sign anything",
      "const isKnown = share !== undefined && equalBytes(share, signature);",
      "const isKnown = share !== undefined;",
    ],
    ["votes of too few", "vote.signatures.length !== quorum", "vote.signatures.length === 0"],
    ["one member votes many times", "if (signer <= before || !committee", "if (!committee"],
    [
      "votes of those who are not of the committee",
      '  if (!round.roles.committee.has(share.signer)) return invalid("its signer is not of the committee");\n',
      "",
    ],
    [
      "vote shares are not checked",
      "if (!place.crypto.verify(share.signer, message, share.signature))",
      "if (false)",
    ],
    [
      "shares in others' names are not checked",
      "const isOthers = schedule.peerOf(height, signer) !== from || signer === place.self;",
      "const isOthers = false;",
    ],
    [
      "threshold signatures are not checked",
      "return place.crypto.verifyWhole(keys, message, signature)",
      "return true",
    ],
    [
      "packages are not checked",
      'return crypto.verifyWhole("high", message, catchUp.signature)',
      "return true",
    ],
    [
      "proofs are not checked",
      "if (!place.crypto.verify(proof.signer",
      "if (false && !place.crypto.verify(proof.signer",
    ],
    [
      "members vote for as many as they like",
      "return contentsOf(round.shares[kind], share.signer) < most",
      "return true",
    ],
    ["summaries are not judged", "return equalBytes(encodeSummary(expected), summary)", "return true"],
    [
      "something is ordered while the subnet halts",
      'if (isEmpty(payload)) return "valid";\n    // Of a program',
      'if (true) return "valid";\n    // Of a program',
    ],
  ],
  "intake.ts": [
    ["far heights are taken", "height > windowTop(view)", "height < 0"],
    ["anything counts as voted for", "return isQuorum || this.#vouched.has(height, hash);", "return true;"],
    ["equivocation has no proof", "if (!isPlaced(pool, proof)) this.#outlet.add(proof, false);", ""],
  ],
  "pool.ts": [
    ["old heights stay", "      if (each >= height) continue;\n", "      continue;\n"],
    ["shares stay", "this.#sharesFrom <= last", "this.#sharesFrom < 0"],
    ["rivals of final blocks stay", "      this.#forgetRivals(height, proposal);\n", ""],
    [
      "going on forgets what was signed",
      "      pool.#rounds.set(at, round);\n",
      "      for (const kind of ['notarization', 'finalization'] as const) round.shares[kind].clear();\n      pool.#rounds.set(at, round);\n",
    ],
  ],
  "member.ts": [
    [
      "nothing is on the disk before it is said",
      '      this.#effects.push({ kind: "persist", artifact });\n      this.#publish(artifact);',
      '      this.#publish(artifact);\n      this.#effects.push({ kind: "persist", artifact });',
    ],
    [
      "a restart forgets what was signed",
      "      if (heightOf(artifact) > height) this.#put(artifact);",
      "      if (heightOf(artifact) > height && !isPart(artifact)) this.#put(artifact);",
    ],
    [
      "a restart forgets that a state is missing",
      "if (newest !== null && (this.isSuperseded || (kept?.stateHeight ?? height) < height)) this.#fetch(newest);",
      "",
    ],
    [
      "packages are not gone on from",
      "else if (height > this.#delivered || this.#states.isDiverged) this.#startAgain(catchUp);",
      "",
    ],
    ["publications are not taken back", "    this.#takeBack(this.#publications.takeBelow(below));\n", ""],
  ],
  "states.ts": [
    ["a state that differs is kept", "  if (equalBytes(own, others)) return true;", "  return true;\n"],
  ],
  "shares.ts": [
    [
      "signatures of unchecked shares are not checked",
      "if (crypto.verifyWhole(keys, message, whole)) return whole;",
      "return whole;",
    ],
    ["wrong shares count", "    signatures.delete(signer);\n", ""],
  ],
  "catch-up.ts": [
    [
      "who goes on from a package forgets what was created",
      "{ ...start, summary: decodeSummary(summary) };",
      "{ ...start, summary: (({ created: _created, ...rest }) => rest)(decodeSummary(summary)) };",
    ],
    [
      "a package that creates a subnet is passed over",
      "  if (!halts && followsCreation({ pool, schedule }, height)) return null;\n",
      "",
    ],
    [
      "a halting subnet waits for what does not come",
      "if (newest.block.context.certifiedHeight < height && !halts && !upgrades) return null;",
      "if (newest.block.context.certifiedHeight < height) return null;",
    ],
  ],
  "dealings.ts": [
    [
      "dealings are not checked",
      '  return verdict ? "valid" : { invalid: "the dealing is wrong" };',
      '  return "valid";',
    ],
    [
      "wrong dealings for another subnet are taken",
      '  return verdict ? "valid" : { invalid: "the dealing is wrong" };',
      '  return verdict || keys.startsWith("remote") ? "valid" : { invalid: "the dealing is wrong" };',
    ],
    [
      "nobody deals",
      "dealtFor(view, interval).filter((keys) => !round.dealings.has(dealingKey(keys, self)));",
      "dealtFor(view, interval).filter((keys) => keys !== keys && !round.dealings.has(dealingKey(keys, self)));",
    ],
    [
      "dealings are ordered again",
      ".filter(([key, { keys }]) => wanted.has(keys) && !there.has(key))",
      ".filter(([, { keys }]) => wanted.has(keys))",
    ],
    [
      "makers order while the subnet halts",
      "  if (!halts && !upgrades) return false;",
      "  if (interval !== null) return false;",
    ],
  ],
  "versions.ts": [
    [
      "the old program goes on after the summary",
      "    return this.#last !== null && height > this.#last;",
      "    return this.#last !== null && height < 0;",
    ],
    [
      "the old program goes on after the package",
      "  return isForOther(environment, summary === undefined ? undefined : decodeSummary(summary));",
      "  return summary === null && isForOther(environment, undefined);",
    ],
  ],
  "schedule.ts": [
    [
      "new members never take over",
      "this.#add(start + length, nextLength, next ?? current);",
      "this.#add(start + length, nextLength, current);",
    ],
    [
      "a member has another length of intervals a summary early",
      "    this.#add(start, length, current);\n    this.#add(start + length, nextLength,",
      "    const early = this.#means.nodeId[3] === 2 ? nextLength : length;\n    this.#intervals = this.#intervals.filter((each) => each.start < start);\n    this.#add(start, early, current);\n    this.#add(start + early, nextLength,",
    ],
  ],
  "summary.ts": [
    [
      "new members take over an interval early",
      "    current: summary.next ?? summary.current,",
      "    current: next ?? summary.next ?? summary.current,",
    ],
    [
      "dealings of one member make the keys of another subnet",
      "    dealingsNeeded: neededOf(keys, dealers.length),\n    reshared: null,",
      "    dealingsNeeded: 1,\n    reshared: null,",
    ],
    [
      "members deal the keys of another subnet to themselves",
      '    receivers,\n    threshold: keys === "remote_low"',
      '    receivers: dealers,\n    threshold: keys === "remote_low"',
    ],
    ["a summary creates a subnet without its keys", "    ...(founded === null ? {} : { founded }),\n", ""],
    [
      "a summary forgets what was created, and all is dealt anew",
      "const created = [...(summary.created ?? []), ...(founded",
      "const created = [...(founded",
    ],
    [
      "subnets are created in the order of the last",
      "  return planned.find(({ subnet }) => !created.has(subnet)) ?? null;",
      "  return planned.findLast(({ subnet }) => !created.has(subnet)) ?? null;",
    ],
    ["a summary halts nobody", "    halts: newest.halts,", "    halts: false,"],
    [
      "intervals keep their length",
      "    nextLength: newest.intervalLength,",
      "    nextLength: summary.nextLength,",
    ],
    [
      "a summary has another length a summary early",
      "    length: summary.nextLength,",
      "    length: newest.intervalLength,",
    ],
    ["no summary upgrades", "    ...versionAfter(summary, newest),\n", ""],
    [
      "each summary upgrades",
      "return replicaVersion === before.replicaVersion ? { replicaVersion } : ",
      "return ",
    ],
  ],
  "waiting.ts": [
    [
      "a copy stands for all",
      "return copies !== undefined && (copies.has(from) || [...copies.values()].some(({ signed }) => signed));",
      "return copies !== undefined;",
    ],
  ],
};

export const PLANTS: readonly Plant[] = Object.entries(ROWS).flatMap(([file, rows]) =>
  rows.map(([what, rule, planted]) => ({ what, file, rule, planted })),
);

/** The module's text with the plant; throws unless its rule is there once. */
export function plantIn(source: string, { rule, planted }: Plant): string {
  const parts = source.split(rule);
  if (parts.length !== 2)
    throw new Error(`the rule is there ${parts.length - 1} times, expected once: ${rule}`);
  return parts.join(planted);
}
