/**
 * `ic-orrery/vitest`: networks as fixtures of `test.extend`. What all tests of a file have in common is prepared once, and every test
 * gets a copy of it, so that none sees what another did and none waits for the preparation.
 */
import { createNetwork } from "./network.ts";
import type { CreateInstanceOptions } from "./pic/index.ts";
import { PocketIc } from "./pic/index.ts";
import type { Network, NetworkOptions } from "./types.ts";

/** A fixture as `test.extend` takes it. */
export type Fixture<T> = (context: object, use: (value: T) => Promise<void>) => Promise<void>;

interface Copied<T> {
  make(): Promise<T>;
  copy(original: T): Promise<T>;
  end(value: T): Promise<void>;
}

function fixtureOf<T>(
  kind: Copied<T>,
  prepare: ((value: T) => Promise<void> | void) | undefined,
): Fixture<T> {
  let original: Promise<T> | null = null;

  async function prepared(): Promise<T> {
    const value = await kind.make();
    await prepare?.(value);
    return value;
  }

  // The runner reads from the text of the first parameter that no other fixture is asked for.
  // biome-ignore lint/correctness/noEmptyPattern: see above.
  return async ({}, use) => {
    original ??= prepared();
    const value = await kind.copy(await original);
    try {
      await use(value);
    } finally {
      await kind.end(value);
    }
  };
}

/** An in-process network for each test; `prepare` installs what they have in common. */
export function networkFixture(
  options: NetworkOptions = {},
  prepare?: (network: Network) => Promise<void> | void,
): Fixture<Network> {
  const kind: Copied<Network> = {
    make: () => createNetwork(options),
    copy: (network) => network.fork(),
    end: (network) => network.stop(),
  };
  return fixtureOf(kind, prepare);
}

/** The same with PicJS's interface. */
export function pocketIcFixture(
  options: CreateInstanceOptions = {},
  prepare?: (pic: PocketIc) => Promise<void> | void,
): Fixture<PocketIc> {
  const kind: Copied<PocketIc> = {
    make: () => PocketIc.create("", options),
    copy: (pic) => pic.fork(),
    end: (pic) => pic.tearDown(),
  };
  return fixtureOf(kind, prepare);
}
