/** Files and functions longer than the limits, with the length that they may not exceed. Entries only shrink and disappear. */

export const FILE_RATCHET: Readonly<Record<string, number>> = {};

/** Keys are `path#function`. */
export const FUNCTION_RATCHET: Readonly<Record<string, number>> = {};
