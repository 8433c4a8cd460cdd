import type { Server, Socket } from 'node:net';
import type { clientKey } from '../client-key';
import type { RefusedBodyOptions } from '../guard';
import type { RegistryValue } from '../registry';
import type { Duration, OnMismatch, QuotaOptions } from '../runtime';

/** What {@link ConnectionTracker} takes. What is left out is not limited. */
export interface ConnectionTrackerOptions {
  /** Most connections at once, over all threads. */
  max?: number;
  /** Most connections of one client at once, over all threads. */
  maxPerClient?: number;
  /**
   * What clients are: addresses, counted as {@link clientKey} names them, or any texts.
   * @default 'ip'
   */
  clients?: 'ip' | 'opaque';
  /**
   * Leading bits of an IPv6 address that stand for one client, 1 to 128. Not with `clients: 'opaque'`.
   * @default 64
   */
  ipv6Prefix?: number;
  /** How often one client may open. */
  opens?: QuotaOptions;
  /** How many messages one connection may send. */
  messages?: QuotaOptions;
  /** How many bytes one connection may send, in messages. */
  bytes?: QuotaOptions;
  /** Connections that are not used for so long are closed: sockets by their bytes, sessions by `touch`. */
  idleTimeout?: Duration;
  /**
   * What happens when these options differ from those in force. Fixed at creation: `clients` and `ipv6Prefix`.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/** Counts over all threads since creation; `count` and `perThread` of now. */
export interface ConnectionTrackerStats {
  count: number;
  opened: number;
  closed: number;
  /** By the option that refused; `banned` are sockets that a guard refused at accept. */
  refused: { max: number; maxPerClient: number; opens: number; banned: number };
  messages: { allowed: number; refused: number };
  bytes: { allowed: number; refused: number };
  /** TCP sockets closed at accept: their clients had reset them before their addresses were known. */
  withoutAddress: number;
  /** Open connections by the `threadId` of the thread that holds them. */
  perThread: Record<string, number>;
}

/** Why a socket was refused at accept. */
export interface ConnectionRefusal {
  reason: 'max' | 'maxPerClient' | 'opens';
  /** The peer's address; `undefined` for a socket that has none. */
  client: string | undefined;
  /** Until the client may open again, in milliseconds; 0 where that depends on others closing. */
  retryAfterMs: number;
}

export interface AttachOptions {
  /**
   * Answers a refused socket in the server's protocol, by ending or destroying it. Otherwise, and where it throws,
   * plain HTTP clients get a 503 and all others are closed without a word.
   */
  onRefused?: (socket: Socket, refusal: ConnectionRefusal) => void;
  /** Addresses and ranges of proxies: their sockets count towards `max` only. */
  trustedProxies?: readonly string[];
  /** What is read of a refused client's request, so that it can read the answer; `false` closes at once after it. */
  refusedBody?: RefusedBodyOptions | false;
}

/**
 * Connections counted over all threads: never more than `max`, nor than `maxPerClient` of one client.
 *
 * A connection is a session, with or without a socket. What a thread holds it gives back when it ends, however it
 * ends. Every method throws `CLOSED` after `ConnectionTracker.destroy`; those that take a client throw
 * `INVALID_KEY`, and `INVALID_ADDRESS` where clients are addresses.
 */
export class ConnectionTracker {
  /**
   * Creates the tracker of this name, or attaches to it. With options that differ from those in force,
   * `onMismatch` decides; without options it attaches only.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND`.
   */
  constructor(name: string, options?: ConnectionTrackerOptions);

  /** Ends the tracker in all threads; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /**
   * Opens a connection of the client, or answers null when there is no room. It counts until it is closed.
   * `onClose` is called once in this thread after that, asynchronously, by whomever it was closed, in whatever thread:
   * the place to end what the connection stands for. It does not keep the thread alive.
   *
   * @throws {SluiceError} `DUPLICATE_ID` when a connection of this id is open, `INVALID_VALUE` for the detail.
   */
  tryOpen(
    client: string,
    options?: { id?: string; detail?: RegistryValue; onClose?: () => void },
  ): Connection | null;

  /**
   * From now on each socket of the server is a connection, or is refused before a byte of it is read. For servers
   * of net, tls, http, https and http2; to attach one again changes nothing.
   */
  attach(server: Server, options?: AttachOptions): this;

  /** Open connections over all threads. */
  readonly count: number;

  /** Open connections of one client over all threads. */
  countFor(client: string): number;

  /** The open connection of this id, in whatever thread it was opened. */
  get(id: string): Connection | undefined;

  /** Closes the connection of this id, and its socket; false when there is none. */
  close(id: string): boolean;

  /** Open connections, oldest first, at most `limit` (default 1000). Costs one pass over all of them. */
  list(options?: { limit?: number; client?: string }): Connection[];

  /**
   * Closes the connections of all threads on which nothing was transferred for so long (default `idleTimeout`, or
   * any time). Each socket is closed by its thread, which looks again before. Returns how many were asked.
   */
  closeIdle(olderThan?: Duration): number;

  /**
   * Waits until no connection of any thread is left: true. False when some are after `timeout` (default `'10s'`).
   * It closes none.
   */
  drain(options?: { timeout?: Duration }): Promise<boolean>;

  /** Costs one pass over all connections. */
  stats(): ConnectionTrackerStats;
}

/** A connection that was opened, as one thread sees it. Made by a {@link ConnectionTracker} only. */
export interface Connection {
  /** The id it was opened with, or its own. */
  readonly id: string;
  /** As the tracker counts it; null for a socket without an address. */
  readonly client: string | null;
  /** When it was opened, UTC in milliseconds. */
  readonly openedAt: number;
  /** What it was opened with. */
  readonly detail: RegistryValue;
  /** The name of its tracker. */
  readonly tracker: string;

  /** Says that the connection is in use, so that it is not idle. */
  touch(): void;

  /**
   * Charges one message of so many bytes (default 0) to the quotas of this connection; false, and nothing is
   * charged, when one of them has no room or the connection is closed. Touches it.
   */
  tryMessage(bytes?: number): boolean;

  /** Closes the connection, and its socket in the socket's thread; false when it was closed before. */
  close(): boolean;

  [Symbol.dispose](): void;
}
