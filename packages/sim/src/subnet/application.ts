/**
 * What a node of a simulated subnet executes: blocks' contents made and judged, states by height. Two there are: a chain of hashes that stands
 * for execution (`hash-application.ts`), and the execution package with canisters that count (`canister-application.ts`).
 */
import type { Block, Height } from "@orrery/base";
import type { Payloads } from "@orrery/consensus/member";

/** A whole state as one node hands it to another. */
export interface SimState {
  readonly height: Height;
  readonly rootHash: Uint8Array;
  /** Messages by the height of the block that has them. */
  readonly done: ReadonlyMap<string, Height>;
}

export interface Executed {
  /** Of the certified part. */
  readonly rootHash: Uint8Array;
  /** Of the whole; null unless it was asked for. */
  readonly stateHash: Uint8Array | null;
}

/** `State`: what it hands to another node's. */
export interface Application<State extends SimState = SimState> extends Payloads {
  /** Of the newest state. */
  readonly height: Height;
  /** From a client. */
  submit(message: Uint8Array): void;
  /** The state after a final block; the one that it had where it executed the block before. `isWhole`: it goes to the disk as a whole. */
  execute(block: Block, tape: Uint8Array, isWhole: boolean): Executed;
  /** Its next state is another one than it should be: a broken disk or memory. */
  corrupt(): void;
  /** Messages that its state has from the block of a height. */
  messagesAt(height: Height): readonly Uint8Array[];
  /** The whole state of a height; null when this node does not have it. */
  stateAt(height: Height): State | null;
  /** Hash of a state that another node hands out, of its contents. */
  hashOf(state: State): Uint8Array;
  /** What one that lies hands out in its place. */
  forge(state: State): State;
  /** Takes another's state. */
  adopt(state: State): void;
  /** States from a height on are thrown away. */
  dropFrom(height: Height): void;
  /** Heights below are of use to nobody any more. */
  forget(below: Height): void;
  /** Another version of the program executes from now on: the same blocks may lead to other states. */
  install(version: string): void;
  /** What was not on the disk is gone. */
  crash(): void;
  /** A quorum signed the root of a height. */
  certified(height: Height, signature: Uint8Array): void;
}
