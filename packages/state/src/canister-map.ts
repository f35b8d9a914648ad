/**
 * The canisters of a state by key. Whoever owns the tip may name a reader's duty (`onRead`): a small change that a record is due
 * before anybody looks at it, whichever way it is reached, so that it need not be made for all records at its time.
 */
import type { PrincipalKey } from "@orrery/base";
import type { CanisterState } from "./types.ts";

type Duty = (key: PrincipalKey, canister: CanisterState) => void;

export class CanisterMap extends Map<PrincipalKey, CanisterState> {
  #duty: Duty | null = null;

  /** From now on `duty` is called on every record that is read, before the reader has it. */
  onRead(duty: Duty): void {
    this.#duty = duty;
  }

  /** The record as it stands. */
  peek(key: PrincipalKey): CanisterState | undefined {
    return super.get(key);
  }

  override get(key: PrincipalKey): CanisterState | undefined {
    const canister = super.get(key);
    if (canister !== undefined) this.#duty?.(key, canister);
    return canister;
  }

  override *entries(): MapIterator<[PrincipalKey, CanisterState]> {
    for (const entry of super.entries()) {
      this.#duty?.(entry[0], entry[1]);
      yield entry;
    }
  }

  override *values(): MapIterator<CanisterState> {
    for (const [, canister] of this.entries()) yield canister;
  }

  override [Symbol.iterator](): MapIterator<[PrincipalKey, CanisterState]> {
    return this.entries();
  }

  override forEach(
    action: (canister: CanisterState, key: PrincipalKey, map: Map<PrincipalKey, CanisterState>) => void,
  ): void {
    for (const [key, canister] of this.entries()) action(canister, key, this);
  }
}
