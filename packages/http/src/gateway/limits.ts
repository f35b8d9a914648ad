/** Limits of the gateway, each with its reason; a host may set others. */

export interface GatewayLimits {
  /** Requests under way. Each holds a body or two, so that a flood costs bounded memory. */
  readonly requestsMax: number;
  /** Names and values of a request's headers together, bytes of text; node:http refuses over 16 KiB before. */
  readonly requestHeaderBytesMax: number;
  /** The same of a response: certificates of large asset trees take some tens of KiB. */
  readonly responseHeaderBytesMax: number;
  /** Longest wait for the answer of an update call, which is how long it can still be executed. */
  readonly updateTimeoutMs: number;
  /** Further queries for the chunks of one body, as many as public gateways make. */
  readonly chunksMax: number;
  /** A body that must be whole before it can be verified. */
  readonly assembledBytesMax: number;
  /** All bodies together that are being put together. */
  readonly assemblingBytesMax: number;
  /** A compressed body once it is decoded, which version 1 of verification needs. */
  readonly decodedBytesMax: number;
  /** How old a certificate may be, or ahead of time: five minutes, as the protocol advises. */
  readonly certificateAgeNsMax: bigint;
}

const MIB = 1024 * 1024;

export const DEFAULT_GATEWAY_LIMITS: GatewayLimits = {
  requestsMax: 1_000,
  requestHeaderBytesMax: 64 * 1024,
  responseHeaderBytesMax: 256 * 1024,
  updateTimeoutMs: 300_000,
  chunksMax: 1_000,
  assembledBytesMax: 128 * MIB,
  assemblingBytesMax: 512 * MIB,
  decodedBytesMax: 128 * MIB,
  certificateAgeNsMax: 300_000_000_000n,
};
