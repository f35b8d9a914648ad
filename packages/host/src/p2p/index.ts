/** A node's connections to its peers, and the exchange on them. */
export type {
  ConnectionListeners,
  Connections,
  PeerAddress,
  PeerRecord,
  RefusedReason,
  Timers,
} from "./connections.ts";
export { systemTimers } from "./connections.ts";
export { type NodeIdentity, nodeIdentity } from "./identity.ts";
export { type PeerEffect, type Peers, type PeersOptions, type Question, startPeers } from "./peers.ts";
export { connectByTls, type TlsConnectionsOptions } from "./tls-connections.ts";
