/** Floor 3: artifacts, requests and limits between the nodes of a subnet, on connections that the host brings. */
export { Exchange } from "./exchange.ts";
export { FrameReader, frameBytes } from "./framing.ts";
export { type IngressChannelOptions, ingressChannel, ingressLabel } from "./ingress.ts";
export { BODY_BYTES_MAX, FRAME_BYTES_MAX, LABEL_BYTES_MAX, PUSH_BYTES_MAX } from "./limits.ts";
export type { Publication } from "./published.ts";
export { fillBlock, type Part, stripBlock } from "./strip.ts";
export {
  type Channel,
  type DropReason,
  type ExchangeEffect,
  type ExchangeInput,
  type ExchangeOptions,
  FIRST_SERVICE,
  type PeerId,
  type Service,
  type Wanted,
} from "./types.ts";
export { encodeMessage, type WireMessage } from "./wire.ts";
