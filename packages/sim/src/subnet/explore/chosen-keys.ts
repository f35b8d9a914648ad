/**
 * Ideal keys whose beacons somebody chooses (simulated): whoever explores what members can come to draws the makers of each height, not a
 * seed. All else of these keys is as ideal keys are.
 */
import { concatBytes, type Height, type SubnetId, utf8 } from "@orrery/base";
import { type MemberCrypto, rolesFrom, thresholdContent } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { IdealKeys } from "../ideal-keys.ts";

const SEED = 1;
const NOTHING = new Uint8Array(0);

/** Four members: one may be faulty, and two make blocks at a height. */
export const MEMBERS = 4;
export const SUBNET: SubnetId = new Uint8Array(29).fill(1) as Uint8Array as SubnetId;

/** Makers of a height, by rank. */
export type Leaders = readonly [number, number];

/** All that there can be. */
export const LEADERS: readonly Leaders[] = Array.from({ length: MEMBERS }, (_, first) => first).flatMap(
  (first) =>
    Array.from({ length: MEMBERS }, (_, second) => [first, second] as const).filter(
      ([one, other]) => one !== other,
    ),
);

/** The first of the beacons, by number, that draws them. */
function beaconOf(leaders: Leaders): Uint8Array {
  for (let number = 0; ; number++) {
    const beacon = sha256(concatBytes(utf8("a beacon of choice"), new Uint8Array([number])));
    if (`${rolesFrom(beacon, MEMBERS).makers}` === `${leaders}`) return beacon;
  }
}

/** In the order of `LEADERS`. */
export const BEACONS: readonly Uint8Array[] = LEADERS.map(beaconOf);

const CHOSEN = new Set(BEACONS.map((beacon) => `${beacon}`));

/** Of a message that is signed as a beacon: where its height stands. */
const PREFIX: Uint8Array = thresholdContent("beacon", SUBNET, 0, NOTHING).slice(0, -(SUBNET.length + 8));

function beaconHeight(message: Uint8Array): Height | null {
  if (!PREFIX.every((byte, place) => message[place] === byte)) return null;
  return Number(new DataView(message.buffer, message.byteOffset).getBigUint64(PREFIX.length));
}

export class ChosenKeys {
  readonly #ideal = new IdealKeys(SEED, MEMBERS);
  /** The beacon that comes of enough shares. */
  chosen: (height: Height) => Uint8Array = () => NOTHING;

  of(index: number): MemberCrypto {
    const ideal = this.#ideal.of(index);
    return {
      ...ideal,
      combine: (keys, message, shares) => {
        const whole = ideal.combine(keys, message, shares);
        const height = beaconHeight(message);
        return height === null || !ideal.verifyWhole(keys, message, whole) ? whole : this.chosen(height);
      },
      verifyWhole: (keys, message, signature) =>
        beaconHeight(message) === null
          ? ideal.verifyWhole(keys, message, signature)
          : CHOSEN.has(`${signature}`),
    };
  }
}
