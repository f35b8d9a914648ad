/** How deep canisters may call, and the native stack it takes; an entry of its own for those that only start threads. */

/**
 * Bytes of canister frames, by the estimate of frame.ts, before a stack overflow. The replica allows its native frames 5 MiB; the
 * estimate gives every local and operand a word, where its compiler keeps most in registers, hence the larger figure.
 */
export const STACK_BYTES: number = 16 * 1024 * 1024;
/** Native stack (MiB) of a thread that runs canisters so that `STACK_BYTES` is reached before the engine's own limit. */
export const ENGINE_STACK_MB = 96;
