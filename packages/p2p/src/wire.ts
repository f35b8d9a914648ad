/**
 * What peers say to each other, one message a frame: a version, a kind, fields of fixed width in big-endian order, and a tail. Strict: one
 * encoding for a message, nothing left over, every length bounded before it is used. Frames are delimited by the connection.
 */
import { concatBytes, err, ok, type Result } from "@orrery/base";
import { BODY_BYTES_MAX, FRAME_BYTES_MAX, LABEL_BYTES_MAX, PIECE_BYTES, WIRE_VERSION } from "./limits.ts";

export const HASH_BYTES = 32;

/** `stripped`: the body names parts that the receiver may have already (`strip.ts`). */
export type Form = "whole" | "stripped";

export type WireMessage =
  /** A slot of the sender has this artifact from now on. */
  | {
      readonly kind: "update";
      readonly channel: number;
      readonly slot: number;
      /** Grows with every change of a slot, so that messages may arrive in any order. */
      readonly version: number;
      readonly form: Form;
      readonly label: Uint8Array;
      readonly content:
        | { readonly kind: "inline"; readonly body: Uint8Array }
        | { readonly kind: "advert"; readonly hash: Uint8Array; readonly length: number };
    }
  /** A slot of the sender is free. */
  | { readonly kind: "clear"; readonly channel: number; readonly slot: number; readonly version: number }
  | {
      readonly kind: "request";
      /** The requester's, never used twice on a connection. */
      readonly number: number;
      readonly service: number;
      /** Longest answer that is taken. */
      readonly bytesMax: number;
      readonly body: Uint8Array;
    }
  /** Part of an answer of `total` bytes; only the last is shorter than `PIECE_BYTES`. */
  | {
      readonly kind: "piece";
      readonly number: number;
      readonly total: number;
      readonly offset: number;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "refusal"; readonly number: number; readonly reason: RefusalReason }
  /** The requester does not want the answer any more. */
  | { readonly kind: "cancel"; readonly number: number };

/** `none`: not here (any more). `busy`: too much at once. `too_long`: over the requester's bound. */
export const REFUSAL_REASONS = ["none", "busy", "too_long"] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

const KINDS = ["update", "clear", "request", "piece", "refusal", "cancel"] as const;
const U32 = 0x1_0000_0000;

function head(kind: WireMessage["kind"], fieldBytes: number): DataView {
  const view = new DataView(new ArrayBuffer(2 + fieldBytes));
  view.setUint8(0, WIRE_VERSION);
  view.setUint8(1, KINDS.indexOf(kind));
  return view;
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function setSlot(view: DataView, message: { channel: number; slot: number; version: number }): void {
  view.setUint8(2, message.channel);
  view.setUint32(3, message.slot);
  view.setUint32(7, Math.floor(message.version / U32));
  view.setUint32(11, message.version % U32);
}

/** One frame, without its length. */
export function encodeMessage(message: WireMessage): Uint8Array {
  switch (message.kind) {
    case "update":
      return encodeUpdate(message);
    case "clear": {
      const view = head("clear", 13);
      setSlot(view, message);
      return bytesOf(view);
    }
    case "request": {
      const view = head("request", 9);
      view.setUint32(2, message.number);
      view.setUint8(6, message.service);
      view.setUint32(7, message.bytesMax);
      return concatBytes(bytesOf(view), message.body);
    }
    case "piece": {
      const view = head("piece", 12);
      view.setUint32(2, message.number);
      view.setUint32(6, message.total);
      view.setUint32(10, message.offset);
      return concatBytes(bytesOf(view), message.bytes);
    }
    case "refusal": {
      const view = head("refusal", 5);
      view.setUint32(2, message.number);
      view.setUint8(6, REFUSAL_REASONS.indexOf(message.reason));
      return bytesOf(view);
    }
    case "cancel": {
      const view = head("cancel", 4);
      view.setUint32(2, message.number);
      return bytesOf(view);
    }
  }
}

function encodeUpdate(message: Extract<WireMessage, { kind: "update" }>): Uint8Array {
  const { content, label } = message;
  const view = head("update", 15);
  setSlot(view, message);
  view.setUint8(15, (message.form === "stripped" ? 1 : 0) | (content.kind === "advert" ? 2 : 0));
  view.setUint8(16, label.length);
  if (content.kind === "inline") return concatBytes(bytesOf(view), label, content.body);
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, content.length);
  return concatBytes(bytesOf(view), label, content.hash, bytesOf(length));
}

/** Why bytes are no message. */
export type WireFault = "frame_size" | "wire_version" | "message_kind" | "message_form";

/** The message of a frame. Its byte strings are views of the frame. */
export function decodeMessage(frame: Uint8Array): Result<WireMessage, WireFault> {
  if (frame.length < 2 || frame.length > FRAME_BYTES_MAX) return err("frame_size");
  if (frame[0] !== WIRE_VERSION) return err("wire_version");
  const kind = KINDS[frame[1] as number];
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const message = kind === undefined ? undefined : decodeKind(kind, view, frame);
  if (message === undefined) return err("message_kind");
  return message === null ? err("message_form") : ok(message);
}

function decodeKind(kind: WireMessage["kind"], view: DataView, frame: Uint8Array): WireMessage | null {
  const size = view.byteLength;
  switch (kind) {
    case "update":
      return decodeUpdate(view, frame);
    case "clear":
      return size === 15 ? slotOf(view, (slot) => ({ kind, ...slot })) : null;
    case "request": {
      if (size < 11) return null;
      const bytesMax = view.getUint32(7);
      if (bytesMax > BODY_BYTES_MAX) return null;
      return {
        kind,
        number: view.getUint32(2),
        service: view.getUint8(6),
        bytesMax,
        body: frame.subarray(11),
      };
    }
    case "piece":
      return size < 14 ? null : decodePiece(view, frame.subarray(14));
    case "refusal": {
      const reason = size === 7 ? REFUSAL_REASONS[view.getUint8(6)] : undefined;
      return reason === undefined ? null : { kind, number: view.getUint32(2), reason };
    }
    case "cancel":
      return size === 6 ? { kind, number: view.getUint32(2) } : null;
  }
}

function slotOf(
  view: DataView,
  make: (slot: { channel: number; slot: number; version: number }) => WireMessage,
): WireMessage | null {
  const version = view.getUint32(7) * U32 + view.getUint32(11);
  if (!Number.isSafeInteger(version)) return null;
  return make({ channel: view.getUint8(2), slot: view.getUint32(3), version });
}

function decodePiece(view: DataView, bytes: Uint8Array): WireMessage | null {
  const [number, total, offset] = [view.getUint32(2), view.getUint32(6), view.getUint32(10)];
  if (total > BODY_BYTES_MAX || offset % PIECE_BYTES !== 0) return null;
  // An empty answer is one empty piece.
  if (offset > 0 && offset >= total) return null;
  if (bytes.length !== Math.min(PIECE_BYTES, total - offset)) return null;
  return { kind: "piece", number, total, offset, bytes };
}

function decodeUpdate(view: DataView, frame: Uint8Array): WireMessage | null {
  if (frame.length < 17) return null;
  const [flags, labelLength] = [view.getUint8(15), view.getUint8(16)];
  if (flags > 3 || labelLength > LABEL_BYTES_MAX || frame.length < 17 + labelLength) return null;
  const label = frame.subarray(17, 17 + labelLength);
  const tail = frame.subarray(17 + labelLength);
  const form: Form = (flags & 1) === 1 ? "stripped" : "whole";
  const isAdvert = (flags & 2) === 2;
  if (!isAdvert)
    return slotOf(view, (slot) => ({
      kind: "update",
      ...slot,
      form,
      label,
      content: { kind: "inline", body: tail },
    }));
  if (tail.length !== HASH_BYTES + 4) return null;
  const length = view.getUint32(frame.length - 4);
  if (length > BODY_BYTES_MAX) return null;
  const content = { kind: "advert", hash: tail.subarray(0, HASH_BYTES), length } as const;
  return slotOf(view, (slot) => ({ kind: "update", ...slot, form, label, content }));
}
