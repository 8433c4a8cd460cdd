import type { Server, Socket } from 'socket.io';
import type * as guard from './lib/guard';
import type { SocketOptions, SocketProtect } from './lib/websocket';

/** Quotas for servers of Socket.IO 4: connections, messages and bytes per client, over all threads. */
declare function sluice(options?: sluice.Options): sluice.Protect;

declare namespace sluice {
  /**
   * Called for a message that a quota refuses. It may answer, or disconnect. `sockets` are those of the connection, one
   * for each of its namespaces; none before the first.
   */
  type OnLimit = (sockets: Socket[], refusal: Refusal, connection: Socket['conn']) => unknown;
  type Options = SocketOptions<OnLimit>;
  type Protect = SocketProtect<Server>;
  /** What a client receives with the event `sluice:closed`, before it is disconnected. */
  type Closed = {
    /** `quota-exceeded` or `abnormal-usage-detected`, and `; retry-after=<seconds>` where waiting helps. */
    reason: string;
    /** null where waiting does not help. */
    retryAfterMs: number | null;
    problem: Problem;
  };
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
