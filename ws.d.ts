import type { IncomingMessage } from 'node:http';
import type { WebSocket, WebSocketServer } from 'ws';
import type * as guard from './lib/guard';
import type { SocketProtect, WsOptions } from './lib/websocket';

/** Quotas for servers of `ws` 8: sockets, messages and bytes per client, over all threads. */
declare function sluice(options?: sluice.Options): sluice.Protect;

declare namespace sluice {
  /** Called for a message that a quota refuses. It may answer, or close the socket. */
  type OnLimit = (socket: WebSocket, refusal: Refusal, request: IncomingMessage) => unknown;
  type Options = WsOptions<OnLimit>;
  type Protect = SocketProtect<WebSocketServer>;
  type Guard = guard.Guard;
  type GuardClient = guard.GuardClient;
  type GuardDecision = guard.GuardDecision;
  type GuardStats = guard.GuardStats;
  type Problem = guard.Problem;
  type Refusal = guard.Refusal;
}

declare module 'http' {
  interface IncomingMessage {
    /** The decision on the handshake. */
    sluice?: guard.GuardDecision;
  }
}

export = sluice;
