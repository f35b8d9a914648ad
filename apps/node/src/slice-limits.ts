/** What a slice of a stream between subnets is cut to, beside the protocol's limits. */

/** More keep queries waiting for longer than ten milliseconds or so. */
export const SLICE_MESSAGES_MAX = 500;
