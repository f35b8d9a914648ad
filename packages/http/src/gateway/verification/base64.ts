/** Base64 (RFC 4648, section 4), padded or not; unused bits at the end may be set, as public gateways have it. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const CODES: Int8Array = new Int8Array(128).fill(-1);
for (let i = 0; i < ALPHABET.length; i++) CODES[ALPHABET.charCodeAt(i)] = i;

/** Null when the text is not Base64. */
export function decodeBase64(text: string): Uint8Array | null {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  const rest = digits % 4;
  if (rest === 1 || (padding > 0 && rest + padding !== 4)) return null;
  const bytes = new Uint8Array(Math.floor((digits * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let i = 0; i < digits; i++) {
    const code = CODES[text.charCodeAt(i)] ?? -1;
    if (code < 0) return null;
    bits = ((bits << 6) | code) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes[at++] = (bits >>> held) & 0xff;
    }
  }
  return bytes;
}
