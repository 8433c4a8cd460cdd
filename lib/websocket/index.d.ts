import type { IncomingMessage } from 'node:http';
import type { ConnectionTracker } from '../connection-tracker';
import type { DynamicRateLimit, Guard, GuardOptions } from '../guard';
import type { LimiterScope, RateLimiter, RateLimiterOptions } from '../rate-limiter';
import type { Duration, OnMismatch, QuotaOptions } from '../runtime';

/** Caps on open sockets. What is left out is not limited. */
export interface SocketCaps {
  /** Most open sockets at once, over all threads. */
  max?: number;
  /** Most open sockets of one client at once, over all threads. */
  maxPerClient?: number;
  /** How often one client may open a socket. */
  opens?: QuotaOptions;
  /** Sockets on which no message has arrived for so long are closed. Pings are messages, pongs are none. */
  idleTimeout?: Duration;
  /**
   * What counts the sockets together.
   * @default the guard's `scope`
   */
  scope?: LimiterScope;
  /** What happens when these options differ from those in force. */
  onMismatch?: OnMismatch;
}

/** Units that all sockets of one client may send; the limit may be a function of the handshake, called once for each. */
export type SocketQuota = RateLimiterOptions | DynamicRateLimit<IncomingMessage>;

/** `Limit` is a function that is called in the place of closing. */
export interface SocketOptions<Limit>
  extends Omit<
    GuardOptions<IncomingMessage, never>,
    | 'connections'
    | 'cors'
    | 'countOnly'
    | 'handler'
    | 'hook'
    | 'keyFallback'
    | 'login'
    | 'skipPreflight'
    | 'wait'
  > {
  /** Caps on open sockets, `false` for none. */
  connections?: SocketCaps | false;
  /** Messages that all sockets of one client may send. */
  messages?: SocketQuota | false;
  /** Bytes that all sockets of one client may send, in messages. */
  bytes?: SocketQuota | false;
  /**
   * What happens with the socket whose message a quota refuses. The message is dropped in any case: no listener sees it.
   * A banned client's socket is closed whatever this says, and so is one whose function throws.
   *
   * @default 'close'
   */
  onLimit?: 'close' | 'drop' | Limit;
}

export interface WsOptions<Limit> extends SocketOptions<Limit> {
  /**
   * The code with which sockets are closed for a quota: 1008 (policy violation), 1013 (try again later), or one of 4000 to
   * 4999. Those of banned clients are closed with 1008.
   *
   * @default 1008
   */
  closeCode?: number;
}

/** Quotas before servers of WebSockets. */
export interface SocketProtect<Server> {
  /** Decides on the handshakes of the server, and on what its clients send, from now on. Returns the server. Idempotent. */
  <S extends Server>(server: S): S;
  /** Decides on handshakes: bans and the rate. */
  readonly guard: Guard;
  /** The open sockets of all threads; null without `connections`. */
  readonly sessions: ConnectionTracker | null;
  /** The limiter of messages; null without `messages`. */
  readonly messages: RateLimiter | null;
  /** The limiter of bytes; null without `bytes`. */
  readonly bytes: RateLimiter | null;
}
