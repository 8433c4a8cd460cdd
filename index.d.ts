/// <reference types="node" />

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import type { Guard, GuardHandler, GuardOptions, RefusedBodyOptions } from './lib/guard/guard';

/**
 * A time: milliseconds as an integer, or a text of an integer and a unit, such as `'250ms'`, `'10s'`, `'5m'`,
 * `'1h'`, `'30d'`. At most 100 years.
 */
export type Duration = number | `${bigint}${'ms' | 's' | 'm' | 'h' | 'd'}`;

/**
 * What a construction does with options that differ from those of the instance of its name.
 *
 * - `'error'`: throws `CONFIG_MISMATCH`.
 * - `'reconfigure'`: puts them into force in all threads, with one process warning (`SLUICE_RECONFIGURED`) that names
 *   each change. Options that are left out count as their defaults. An option that is fixed at creation remains
 *   `CONFIG_MISMATCH`.
 */
export type OnMismatch = 'error' | 'reconfigure';

/** What {@link clientKey} takes. */
export interface ClientKeyOptions {
  /**
   * Leading bits of an IPv6 address that stand for one client, 1 to 128.
   * @default 64
   */
  ipv6Prefix?: number;
}

/**
 * The canonical text of the client behind an address, to be used as a key. IPv4 stays; IPv4 inside
 * `::ffff:0:0/96` or `64:ff9b::/96` becomes that IPv4; any other IPv6 address is cut to its prefix. Zone id,
 * brackets and port go. A result is its own client key.
 *
 * @throws {SluiceError} `INVALID_ADDRESS` for what is no address, `INVALID_OPTION` for the prefix.
 */
export function clientKey(ip: string, options?: ClientKeyOptions): string;

/** What went wrong, without the prefix: stable between versions, where the text of an error is not. */
type ErrorKind =
  | 'INVALID_OPTION'
  | 'INVALID_NAME'
  | 'INVALID_KEY'
  | 'INVALID_COST'
  | 'INVALID_ADDRESS'
  | 'INVALID_VALUE'
  | 'NOT_FOUND'
  | 'CONFIG_MISMATCH'
  | 'CLOSED'
  | 'TIMEOUT'
  | 'PEER_GONE'
  | 'NO_ENDPOINT'
  | 'DUPLICATE_ID'
  | 'BACKPRESSURE'
  | 'BREAKER_OPEN'
  | 'SHUTTING_DOWN'
  | 'SPAWN_FAILED'
  | 'CORRUPT_FILE'
  | 'UNSUPPORTED_VERSION'
  | 'SCOPE_UNAVAILABLE'
  | 'UNSUPPORTED';

export type SluiceErrorCode = `ERR_SLUICE_${ErrorKind}`;

/**
 * A mistake of the caller, or a fault; a refusal is no error. The message names what was given and what is
 * accepted. After an error the state is as it was before the call.
 */
export class SluiceError extends Error {
  private constructor();
  readonly name: 'SluiceError';
  readonly code: SluiceErrorCode;
}

/** So many units per so much time. */
export interface QuotaOptions {
  /** Units per window, an integer from 1. Its share of the window must be exact to 0.1 % in nanoseconds. */
  limit: number;
  /** Over how long `limit` holds, more than 0. */
  window: Duration;
  /**
   * Units that may come at once, an integer from 1. In any time t at most `burst + t · limit / window` units
   * pass, so that the first window of an idle client sees up to `burst + limit`.
   * @default limit
   */
  burst?: number;
}

/** How a limit counts. {@link GcraLimit} and {@link WindowLimit} say what each admits. */
export type Algorithm = 'gcra' | 'fixed-window' | 'sliding-window';

/** A bucket that refills evenly: no edges of windows, and a burst of its own. */
export interface GcraLimit extends QuotaOptions {
  /** @default 'gcra' */
  algorithm?: 'gcra';
}

/**
 * A count per window.
 *
 * - `'fixed-window'`: at most `limit` per window, which starts at the client's first hit. Around its end up to twice
 *   that.
 * - `'sliding-window'`: while `previous × (1 − f) + current ≤ limit`, with windows aligned to multiples of their length
 *   (UTC), and f the share of the current one that has passed.
 */
export interface WindowLimit {
  algorithm: 'fixed-window' | 'sliding-window';
  /** Units per window, an integer from 1; at most 2³² − 1 in a fixed, 2²³ − 1 in a sliding window. */
  limit: number;
  /** Its length; a fixed window lasts 10 ms at least. */
  window: Duration;
  /** Windows have none: `INVALID_OPTION`. */
  burst?: never;
}

/** One of several limits. */
export type LimitOptions = (GcraLimit | WindowLimit) & {
  /**
   * What decisions and headers call it, at most 128 characters; no two limits of one limiter have the same. Give one
   * to a limit that is to be reconfigured: names are fixed.
   * @default what it says, such as `'10-per-1s'`
   */
  name?: string;
};

/** One limit, which decisions call by the limiter's name. */
export type SingleLimitOptions = (GcraLimit | WindowLimit) & { limits?: never };

/** Several limits. */
export interface SeveralLimitsOptions {
  /**
   * One to six, decided as one: a call is charged to all of them or to none. Decisions describe the one that refuses
   * longest, or else the one with the least remaining share.
   */
  limits: readonly LimitOptions[];
  /** Belongs in one of the limits, as do the next three: `INVALID_OPTION`. */
  limit?: never;
  window?: never;
  burst?: never;
  algorithm?: never;
}

/** What {@link RateLimiter} takes: one limit, or several; and how many clients are held. */
export type RateLimiterOptions = (SingleLimitOptions | SeveralLimitsOptions) & {
  /**
   * Most clients remembered at once, an integer from 1 to 2³². A client that has its whole quota again needs no place.
   * @default 1_000_000
   */
  maxKeys?: number;
  /**
   * What a newcomer gets when there is no place: that of the client nearest to a full quota (`'evict'`), a
   * refusal (`'deny'`), or passage without being counted (`'allow'`). Only `'deny'` keeps every quota exactly
   * even then. Blocked clients are never evicted.
   * @default 'evict'
   */
  overflow?: 'evict' | 'deny' | 'allow';
  /**
   * Decides, charges and counts as if live, but refuses nobody; decisions say `wouldRefuse`.
   * @default false
   */
  dryRun?: boolean;
  /**
   * Which threads share the limiter: all of this process. Anything else is `UNSUPPORTED` in this version.
   * @default 'process'
   */
  scope?: 'process';
  /**
   * What happens when these options differ from those in force. Fixed at creation: `maxKeys`, `overflow`, and the
   * number, names and algorithms of the limits.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
};

/** The answer to one call, by one of its limits. Times are milliseconds, rounded up to integers. */
export interface Decision {
  /** Whether the call may pass. */
  allowed: boolean;
  /** Units per window. */
  limit: number;
  /** Units that would still be admitted now. */
  remaining: number;
  /** Until the client is as if never seen, with its whole quota. */
  resetAfterMs: number;
  /**
   * Until the same call is admitted, if the client does nothing else: exactly then, and not a millisecond before; 0
   * when it was. `Infinity` for a cost above the burst, or a window's limit, which no waiting helps.
   */
  retryAfterMs: number;
  /**
   * The name of the limit that is described: of several the one that refuses longest, or else the one with the least
   * remaining share. A single limit has the limiter's name.
   */
  policy: string;
  /** With `dryRun` only: whether a live limiter would have refused. */
  wouldRefuse?: boolean;
}

/** Sums over all threads since creation, and the state now. */
export interface RateLimiterStats {
  /** Calls that passed. */
  allowed: number;
  /** Calls that were refused. */
  refused: number;
  /** Calls that `dryRun` let pass. */
  dryRefused: number;
  /** Calls that found no place: answered as `overflow` says, and blocks that were not kept. */
  untracked: number;
  /** Clients forgotten while they still owed something: the only ones to whom more than the quota was given. */
  liveEvictions: number;
  /** Clients blocked now. */
  blocked: number;
  /** Clients that have less than their whole quota, or are blocked, now. */
  size: number;
  /** `maxKeys`. */
  capacity: number;
}

/** A key of one limiter, hashed once: for a client that is asked about often. It owns nothing. */
export interface KeyHandle {
  /** As {@link RateLimiter.tryConsume}. */
  tryConsume(cost?: number): boolean;
  /** As {@link RateLimiter.consume}. */
  consume(cost?: number): Decision;
  /** As {@link RateLimiter.peek}. */
  peek(): Decision;
}

/**
 * A rate limit per client that all threads share: together they admit the quota, and not one unit more.
 *
 * A key is any non-empty string of any length; keys that differ in one code unit are different clients. Every
 * method throws `INVALID_KEY` for what is no key, `INVALID_COST` for a cost that is no positive integer, and
 * `CLOSED` after `RateLimiter.destroy`.
 */
export class RateLimiter {
  /**
   * Creates the limiter of this name, or attaches to it. With options that differ from those in force,
   * `onMismatch` decides; without options it attaches only.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND`, `UNSUPPORTED`.
   */
  constructor(name: string, options?: RateLimiterOptions);

  /** Ends the limiter in all threads; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /** Takes `cost` units (default 1) if they are there: true when the call may pass. The cheapest question. */
  tryConsume(key: string, cost?: number): boolean;

  /** As `tryConsume`, with all there is to tell. A refused call takes nothing. */
  consume(key: string, cost?: number): Decision;

  /** As `consume`, but mistakes reject. */
  consumeAsync(key: string, cost?: number): Promise<Decision>;

  /** `tryConsume` for each key in turn. One invalid key among them is an error that charges nobody. */
  consumeMany(keys: readonly string[], cost?: number): boolean[];

  /** What `consume(key)` would answer; takes and counts nothing. */
  peek(key: string): Decision;

  /** The key, hashed once, for calls that save reading it. */
  handle(key: string): KeyHandle;

  /** Gives units back (default 1) to every limit, up to its burst, or a window's limit. */
  refund(key: string, cost?: number): void;

  /** Takes units (default 1) of every limit without asking, down to none. */
  penalize(key: string, cost?: number): void;

  /**
   * Refuses the client for so long; of several blocks the one that ends last holds. What the client owed before
   * it still owes afterwards. False, and counted in `stats().untracked`, when the limiter is full.
   *
   * @throws {SluiceError} `INVALID_OPTION` for the duration.
   */
  block(key: string, duration: Duration): boolean;

  /** Forgets what the client did, and its block; true when there was anything to forget. */
  reset(key: string): boolean;

  /**
   * The options given replace those in force, for all threads at once. What clients have used stays used, as far as the
   * new options could have left it: a bucket is at most empty, a fixed window ends no later than one that starts now.
   * Blocks stay. The options of the creation still attach.
   *
   * Fixed are `maxKeys`, `overflow`, the names, number and algorithms of the limits, and the length of a sliding
   * window; the limit of a window fits the count chosen at creation: at most 2²⁰ − 1, or where it was larger, the
   * next 2ⁿ − 1. `limits` are given all or not at all.
   *
   * @throws {SluiceError} `INVALID_OPTION`, and nothing is changed.
   */
  reconfigure(options: Partial<RateLimiterOptions> & { onMismatch?: never }): void;

  /** Forgets all clients and blocks. */
  clear(): void;

  /** `stats().size`, at the same cost. */
  readonly size: number;

  /** Costs one pass over the table: for a metrics endpoint, not for every request. */
  stats(): RateLimiterStats;
}

/** Over which calls a {@link CircuitBreaker} takes its rates: the last so many, or those of the last so long. */
export type CircuitWindow =
  | {
      /** An integer from 1 to 10 000. */
      calls: number;
      time?: never;
    }
  | {
      /** Forgets by tenths of its length. */
      time: Duration;
      calls?: never;
    };

/** What {@link CircuitBreaker} takes. All threads agree on it, except for `errorFilter` and `onMismatch`. */
export interface CircuitBreakerOptions {
  /**
   * The share of failed calls that opens a circuit, above 0 and up to 1.
   * @default 0.5
   */
  failureRate?: number;
  /** A call that takes longer is slow, whether it fails or not. Without it no call is. */
  slowCallDuration?: Duration;
  /**
   * The share of slow calls that opens a circuit, above 0 and up to 1.
   * @default 1
   */
  slowCallRate?: number;
  /**
   * Fewer calls in the window open nothing. A window of fewer calls counts when it is full.
   * @default 10
   */
  minimumCalls?: number;
  /** @default { calls: 100 } */
  window?: CircuitWindow;
  /** How long an open circuit refuses before it is tried. */
  openFor: Duration;
  /**
   * By how much each opening in a row is longer than the last, a number from 1.
   * @default 1
   */
  backoff?: number;
  /** The longest opening; `openFor` at least. */
  maxOpenFor?: Duration;
  /**
   * The share that chance may take off each opening, from 0 to 1.
   * @default 0
   */
  jitter?: number;
  /**
   * How many calls try a half-open circuit, over all threads; by all of them it is judged.
   * @default 1
   */
  halfOpenCalls?: number;
  /** How long a call of `fire` may take, and for how long a trial's permit is leased; without it for `openFor`. */
  timeout?: Duration;
  /**
   * Most peers remembered at once. Beyond it, closed circuits that are not in use are forgotten.
   * @default 10_000
   */
  maxPeers?: number;
  /**
   * Decides how a call that fails with this error counts: `true` as a success, `false` as a failure, `'ignore'` not at
   * all. The call rejects with its error in any case. When the filter throws or returns a promise, the call counts as
   * a failure, with one warning. The filter is not called for aborted calls. It belongs to this object: it is not
   * compared, and an object that is given nothing else but `onMismatch` attaches.
   */
  errorFilter?: (error: unknown) => boolean | 'ignore';
  /**
   * What happens when these options differ from those in force. Fixed at creation: `window` and `maxPeers`.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

export interface FireOptions {
  /**
   * Aborts the call: it rejects with the signal's reason, and the signal that `fn` was given aborts with the same. The
   * call is neither success nor failure, unless the reason is a `TimeoutError`, which is a failure.
   */
  signal?: AbortSignal;
}

/**
 * - `'closed'`: calls pass, and are counted.
 * - `'open'`: they are refused, until `openFor` is over and somebody asks.
 * - `'halfOpen'`: so many try it.
 * - `'isolated'`: they are refused until `reset` or `disable`.
 * - `'disabled'`: they pass and are not counted until `reset` or `isolate`.
 */
export type CircuitState = 'closed' | 'open' | 'halfOpen' | 'isolated' | 'disabled';

/** A circuit has another state. */
export interface CircuitChange {
  peer: string;
  /** Its state now. */
  state: CircuitState;
  /** Its state before. */
  from: CircuitState;
  /** The calls that led to it; 0 where it was changed by hand, or by time. */
  calls: number;
  failures: number;
  slowCalls: number;
  /** With `'open'` only: for how long, in milliseconds. */
  openForMs?: number;
  /** Changes just before this one that were dropped, as more than 1024 waited. */
  missed?: number;
}

/** One circuit at this moment. */
export interface CircuitStats {
  state: CircuitState;
  /** Calls in the window of a closed circuit, or trials of a half-open one that reported. */
  calls: number;
  failures: number;
  slowCalls: number;
  /** Of these calls; 0 without any. */
  failureRate: number;
  slowCallRate: number;
  /** How often in a row it opened since it was last closed. */
  openings: number;
  /** Until an open circuit may be tried, in milliseconds; else null. */
  retryAfterMs: number | null;
}

/** Sums over all threads since creation; `peers` of now. */
export interface CircuitBreakerStats {
  successes: number;
  failures: number;
  /** Calls that took longer than `slowCallDuration`, good and failed ones. */
  slowCalls: number;
  /** Calls that were not let pass. */
  refused: number;
  /** Reports that came too late to count: for an earlier state, or a trial whose place another has taken. */
  ignored: number;
  /** How often circuits opened by themselves. */
  opened: number;
  /** Closed circuits forgotten for newcomers. */
  evicted: number;
  /** Calls that passed uncounted, as there was no place for their peer. */
  untracked: number;
  /** Circuits by state; peers that are not remembered are closed. */
  peers: Record<CircuitState, number>;
}

/** What `fire` rejects with when a circuit refuses. */
export interface BreakerOpenError extends SluiceError {
  readonly code: 'ERR_SLUICE_BREAKER_OPEN';
  readonly peer: string;
  readonly state: 'open' | 'halfOpen' | 'isolated';
  /** Until it is worth another try, in milliseconds; null where that is not known. */
  readonly retryAfterMs: number | null;
}

/**
 * Leave for one call. The first of its methods that is called counts, the others do nothing; a report counts only in
 * the state of the circuit in which the permit was given. That of a trial is leased for `timeout`, or else `openFor`,
 * and comes back at once when its thread ends. Made by a {@link CircuitBreaker} only.
 */
export interface Permit {
  /** The call was good. It took so many milliseconds, or those since the permit was given. */
  success(durationMs?: number): void;
  /** The call failed; `errorFilter` may decide otherwise. With an `AbortError` it equals `release()`. */
  failure(error?: unknown): void;
  /** No call was made. */
  release(): void;
  [Symbol.dispose](): void;
}

/**
 * Refuses calls to a peer that fails, so that it can recover and callers need not wait. Each peer has a circuit,
 * which all threads share.
 *
 * A peer is a non-empty string without lone surrogates, else `INVALID_KEY`. Every method throws `CLOSED` after
 * `CircuitBreaker.destroy`.
 */
export class CircuitBreaker {
  /**
   * Creates the breaker of this name, or attaches to it. With options that differ from those in force,
   * `onMismatch` decides; without options it attaches only.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND`.
   */
  constructor(
    name: string,
    options?: CircuitBreakerOptions | Pick<CircuitBreakerOptions, 'errorFilter' | 'onMismatch'>,
  );

  /** Ends the breaker in all threads; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /**
   * Calls `fn` if the circuit of the peer lets it pass, and counts what comes of it. Settles as `fn` does, or rejects
   * with `BREAKER_OPEN` (a {@link BreakerOpenError}), or with `TIMEOUT` after `timeout`; then the signal, which is this
   * call's own, aborts. A `fn` that declares no parameter is given none.
   *
   * A call that `options.signal` aborts, or that rejects with an `AbortError`, is neither success nor failure: a
   * trial's place becomes free, and the circuit stays half open.
   */
  fire<Value>(
    peer: string,
    fn: (signal: AbortSignal) => Value | PromiseLike<Value>,
    options?: FireOptions,
  ): Promise<Value>;

  /**
   * A function that fires `fn` with its own arguments; the signal follows them where `fn` declares more parameters than
   * it was given. `options.signal` aborts all of its calls.
   */
  wrap<Args extends unknown[], Value>(
    peer: string,
    fn: (...args: [...Args, signal: AbortSignal]) => Value | PromiseLike<Value>,
    options?: FireOptions,
  ): (...args: Args) => Promise<Value>;
  wrap<Args extends unknown[], Value>(
    peer: string,
    fn: (...args: Args) => Value | PromiseLike<Value>,
    options?: FireOptions,
  ): (...args: Args) => Promise<Value>;

  /**
   * From now on a call of this object's `fire` that would reject settles as `fn` does instead; mistakes, and calls that
   * their caller aborted, still reject. What is counted stays the same.
   */
  fallback(fn: (error: unknown, peer: string) => unknown): this;

  /** Leave for one call that you make and report yourself, or null. */
  tryAcquire(peer: string): Permit | null;

  /** An open circuit stays open until a call begins to try it. */
  state(peer: string): CircuitState;

  /** Refuses all calls until `reset` or `disable`. */
  isolate(peer: string): void;

  /** Lets all calls pass, and counts none, until `reset` or `isolate`. */
  disable(peer: string): void;

  /** Closes the circuit, whatever its state, and forgets its calls. */
  reset(peer: string): void;

  /**
   * Calls the listener for each change of any thread from now on, in order: `'open'` for the states `'open'` and
   * `'isolated'`, `'close'` for `'closed'` and `'disabled'`. It keeps no thread alive.
   */
  on(event: 'open' | 'halfOpen' | 'close', listener: (change: CircuitChange) => void): this;
  once(event: 'open' | 'halfOpen' | 'close', listener: (change: CircuitChange) => void): this;
  off(event: 'open' | 'halfOpen' | 'close', listener: (change: CircuitChange) => void): this;

  /** Costs one pass over the circuits. */
  stats(): CircuitBreakerStats;
  /** One circuit. */
  stats(peer: string): CircuitStats;

  /** Everything there is to tell, for a metrics endpoint. */
  toJSON(): CircuitBreakerStats & { name: string; circuits: Record<string, CircuitStats> };
}

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

/** What a {@link Registry} holds: plain data. */
export type RegistryValue =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | readonly RegistryValue[]
  | { readonly [key: string]: RegistryValue };

/** A value as it is read: deeply frozen. */
export type Frozen<Value> = RegistryValue extends Value
  ? Value
  : { readonly [Key in keyof Value]: Frozen<Value[Key]> };

/** What {@link Registry} takes. */
export interface RegistryOptions {
  /** As of every named component. A registry has no other options, so none can differ. */
  onMismatch?: OnMismatch;
}

/** A key got another value, or none. */
export interface RegistryChange {
  key: string;
  /** The registry's version after the change. */
  version: number;
  /** Changes just before this one that were dropped, as more than 1024 waited. */
  missed?: number;
}

/** All values of a {@link Registry} at one moment. */
export interface RegistrySnapshot<Value = RegistryValue> extends ReadonlyMap<string, Frozen<Value>> {
  readonly version: number;
}

/**
 * A map of plain data that all threads share. A thread that reads a key gets the same frozen object until the key
 * is written again. Reads take no lock; each write copies the table of keys (not the values), so that a large
 * registry is filled with `replaceAll`.
 *
 * `Value` is what you put in; it says nothing at run time. Keys are non-empty strings without lone surrogates, else
 * `INVALID_KEY`; values that are no plain data are `INVALID_VALUE`, with the path to the part at fault. Every method
 * throws `CLOSED` after `Registry.destroy`.
 */
export class Registry<Value = RegistryValue> {
  /**
   * Creates the registry of this name, or attaches to it.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`.
   */
  constructor(name: string, options?: RegistryOptions);

  /** Ends the registry in all threads; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /** The value, or `undefined` without one: a native number and a look-up while nothing is written. */
  get(key: string): Frozen<Value> | undefined;

  /**
   * As `get`, where a value must be there.
   *
   * @throws {SluiceError} `NOT_FOUND`.
   */
  getOrThrow(key: string): Frozen<Value>;

  has(key: string): boolean;

  /** Sets a value, whatever was there; returns the registry's version after it. */
  set(key: string, value: Value | Frozen<Value>): number;

  /** Sets a value where there is none; true when it did. Of many threads exactly one is told so. */
  setIfAbsent(key: string, value: Value | Frozen<Value>): boolean;

  /**
   * Sets what `change` makes of the value, and returns it. `change` is called again when another thread wrote
   * in between, so it should only compute: a function that writes `key` itself each time it is called gets
   * `ERR_SLUICE_UNSUPPORTED`.
   */
  update(key: string, change: (value: Frozen<Value> | undefined) => Value | Frozen<Value>): Frozen<Value>;

  /** True when there was a value. */
  delete(key: string): boolean;

  keys(): IterableIterator<string>;

  /** Of one moment, as of `snapshot`. */
  entries(): IterableIterator<[string, Frozen<Value>]>;

  [Symbol.iterator](): IterableIterator<[string, Frozen<Value>]>;

  readonly size: number;

  /** Raised by every change of any key. */
  readonly version: number;

  /** All values at one moment, as a map that cannot be changed. */
  snapshot(): RegistrySnapshot<Value>;

  /**
   * Makes these the only values, in one moment; returns the version after it. Keys whose value stays the same
   * keep their object, and nobody is told of them.
   */
  replaceAll(
    entries:
      | Iterable<readonly [string, Value | Frozen<Value>]>
      | Readonly<Record<string, Value | Frozen<Value>>>,
  ): number;

  /** Calls the listener for each change of any thread from now on, in order. It keeps no thread alive. */
  on(event: 'change', listener: (change: RegistryChange) => void): this;
  once(event: 'change', listener: (change: RegistryChange) => void): this;
  off(event: 'change', listener: (change: RegistryChange) => void): this;
}

/** What a {@link ClientHub} holds: plain data, without undefined. */
export type HubValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly HubValue[]
  | { readonly [key: string]: HubValue };

export interface ClientHubOptions {
  /**
   * Most values kept at once, up to 10 million.
   * @default 10_000
   */
  maxEntries?: number;
  /** Most bytes of values (as serialised) and keys kept at once; by default as many as there are. */
  maxBytes?: number;
  /**
   * What happens when these options differ from those in force. All of them may change; what is left out stays.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/** What is kept is decided by the options of the call whose initialiser made it. */
export interface GetOrInitOptions<Value = unknown> {
  /**
   * How long a value is fresh; by default until it is invalidated or evicted. A function receives the new value, and may
   * also return `Infinity`, or 0 or less for a value that is not fresh at all.
   */
  ttl?: Duration | ((value: Value) => Duration);
  /**
   * For how long after its `ttl` a value is still answered with, while one thread makes it anew in the background.
   * After a refresh that failed, the next begins after 1 s, and twice as long each time up to 30 s.
   */
  staleWhileRevalidate?: Duration | ((value: Value) => Duration);
  /** How long after its `ttl` a value is served when it cannot be made anew. */
  staleIfError?: Duration;
  /**
   * How long calls reject with the error of a failed initialiser, where there is no value to serve.
   * @default 0
   */
  retryAfter?: Duration;
  /**
   * How long this call's own initialiser may run; then its signal aborts, the call rejects with `TIMEOUT`, and the
   * initialiser of a call that waits is run.
   * @default '30s'
   */
  timeout?: Duration;
  /** Ends this call's waiting: it rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface HubClientOptions<Value, Live> extends GetOrInitOptions<Value> {
  /** Builds the live object of a value: once for each thread and version. A promise that rejects is forgotten. */
  revive?: (value: Frozen<Value>) => Live;
  /** Called with a live object that another has taken the place of in this thread, or whose value is gone; once. */
  dispose?: (live: Live) => void;
}

/** The live object of one key, as one thread sees it. Made by a {@link ClientHub} only. */
export interface HubClient<Live> {
  /** The live object of the current value, built where this thread has none; the value is made as by `getOrInit`. */
  get(): Promise<Awaited<Live>>;
  /** The live object that this thread has of the current value, fresh or stale; else undefined. */
  readonly value: Live | undefined;
}

/** Sums over all threads since creation; `remembered` and the last four are of now. */
export interface ClientHubStats {
  /** Calls answered with a fresh value. */
  hits: number;
  /** Calls answered with a stale one. */
  stale: number;
  /** Calls of `getOrInit` and of clients that ran their initialiser or waited for another's. */
  misses: number;
  /** Initialisers that were begun, in the background too. */
  initialisations: number;
  /** Of these, how many failed. */
  failures: number;
  /** Of these, how many took too long. */
  timeouts: number;
  /** How often a waiting call took over, from one that took too long, gave up, or whose thread ended. */
  handovers: number;
  /** Values pushed out by others. */
  evictions: number;
  /** Values whose time was over when somebody asked for them, or when room was needed. */
  expired: number;
  /** Values that were not kept, as each alone is larger than `maxBytes`. */
  tooLarge: number;
  /** Calls rejected with a remembered error. */
  rejected: number;
  /** Remembered errors; an expired one counts until its key is asked for. */
  remembered: number;
  /** Values kept; those whose time is over among them, until somebody asks. */
  entries: number;
  /** Bytes of these and their keys. */
  bytes: number;
  /** Calls that wait for the initialiser of another call. */
  waiting: number;
  /** Initialisers that run. */
  initialising: number;
}

/**
 * A cache of plain data whose values are made once for all threads: one call runs its initialiser, the others wait
 * for what it comes to. A value is deeply frozen, and in one thread the same object until it is made anew.
 *
 * `Value` is what you put in; it says nothing at run time. Keys are non-empty strings without lone surrogates, else
 * `INVALID_KEY`. Every method throws `CLOSED` after `ClientHub.destroy`, or rejects with it.
 */
export class ClientHub<Value = HubValue> {
  /**
   * Creates the hub of this name, or attaches to it. Where options that are given differ from those in force,
   * `onMismatch` decides.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`.
   */
  constructor(name: string, options?: ClientHubOptions);

  /** Ends the hub in all threads, and every call that waits; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /**
   * The value of a key; made by one initialiser over all threads where there is none. A failure rejects this call and
   * all that waited, and the next call tries anew, unless `retryAfter` or `staleIfError` say otherwise. Mistakes reject
   * as well.
   *
   * The signal of `init` aborts when nobody is to get its result any more. What it makes that is no plain data is
   * `INVALID_VALUE`, with the path to the part at fault.
   */
  getOrInit<Made extends Value>(
    key: string,
    init: (signal: AbortSignal) => Made | PromiseLike<Made>,
    options?: GetOrInitOptions<Made>,
  ): Promise<Frozen<Made>>;

  /** The value, if it is fresh. */
  get(key: string): Frozen<Value> | undefined;

  /**
   * Forgets a value. One that is being made goes to those who waited before, and to nobody else. True when there was
   * either.
   */
  invalidate(key: string): boolean;

  /** What is built of a value in this thread. Without `revive` that is the value itself. */
  client<Made extends Value, Live>(
    key: string,
    init: (signal: AbortSignal) => Made | PromiseLike<Made>,
    options: HubClientOptions<Made, Live> & { revive: (value: Frozen<Made>) => Live },
  ): HubClient<Live>;
  client<Made extends Value>(
    key: string,
    init: (signal: AbortSignal) => Made | PromiseLike<Made>,
    options?: HubClientOptions<Made, Frozen<Made>> & { revive?: undefined },
  ): HubClient<Frozen<Made>>;

  /** Costs one pass over all keys. */
  stats(): ClientHubStats;
}

/** What {@link Reputation} takes. */
export interface ReputationOptions {
  /** The failure within `findTime` that bans, an integer from 1 to 1 000 000. */
  maxFailures: number;
  /** For how long a failure counts. */
  findTime: Duration;
  /** How long a first ban lasts. */
  banTime: Duration;
  /**
   * By how much each further ban is longer, from 1.
   * @default 2
   */
  banFactor?: number;
  /** The longest a ban gets, `banTime` or more. */
  maxBanTime: Duration;
  /**
   * The share of its length by which chance may shorten a ban, from 0 to 1, so that those banned together do not come
   * back together.
   * @default 0
   */
  jitter?: number;
  /**
   * Leading bits of an IPv6 address that stand for one client, 1 to 128.
   * @default 64
   */
  ipv6Prefix?: number;
  /** Addresses and ranges that are never banned. */
  allow?: readonly string[];
  /** Addresses and ranges that are always banned. None may be in `allow` as well; the longest prefix decides. */
  deny?: readonly string[];
  /**
   * Most clients remembered at once, an integer from 1 to 2³². Who is banned is never forgotten for a stranger.
   * @default 100_000
   */
  maxClients?: number;
  /**
   * What happens when these options differ from those in force. Fixed at creation: `ipv6Prefix` and `maxClients`.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/** What is known of an address. Times are milliseconds, rounded up to integers. */
export interface Verdict {
  /** Whether it is to be refused. */
  banned: boolean;
  /** When the ban ends, UTC in milliseconds; `Infinity` for one without end, null for who is not banned. */
  until: number | null;
  /** Until the ban ends; 0 for who is not banned. */
  retryAfterMs: number;
  /** Failures that count now; while an automatic ban stands, those that led to it. */
  failures: number;
  /** Automatic bans that are not forgotten. */
  bans: number;
  /** Why the ban that stands was made; null where that was not said, and for who is not banned by a ban. */
  reason: string | null;
  /** What decides: the list that names the longest prefix, or else a ban, or nothing. */
  rule: 'none' | 'ban' | 'deny' | 'allow';
}

/** A ban that stands. */
export interface Ban {
  /** The client's address, or the range, as {@link Reputation.unban} takes it. */
  client: string;
  /** When it ends, UTC in milliseconds; `Infinity` for never. */
  until: number;
  retryAfterMs: number;
  reason: string | null;
}

/** Sums over all threads since creation, and the state now. */
export interface ReputationStats {
  /** Failures counted, by weight. */
  failures: number;
  /** Automatic bans. */
  bans: number;
  /** Bans by `ban`. */
  manualBans: number;
  /** Bans ended by `unban`. */
  unbans: number;
  /** Failures and bans that were not kept, as all `maxClients` clients are banned. */
  untracked: number;
  /** Clients forgotten for a newcomer while their failures or past bans still counted. */
  evicted: number;
  /** Clients banned now. */
  banned: number;
  /** Ranges banned now. */
  ranges: number;
  /** Ranges in `allow`. */
  allow: number;
  /** Ranges in `deny`. */
  deny: number;
  /** Clients remembered now. */
  size: number;
  /** `maxClients`. */
  capacity: number;
}

/**
 * Failures that ban, bans that grow, and lists of addresses, for all threads: who is banned in one is refused in all.
 *
 * A client is an address as {@link clientKey} cuts it; lists and bans of ranges look at the whole address. Every
 * method that takes an address throws `INVALID_ADDRESS` for what is none, and every method `CLOSED` after
 * `Reputation.destroy`.
 */
export class Reputation {
  /**
   * Creates the reputation of this name, or attaches to it. With options that differ from those in force,
   * `onMismatch` decides; without options it attaches only.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `INVALID_ADDRESS`, `CONFIG_MISMATCH`, `NOT_FOUND`.
   */
  constructor(name: string, options?: ReputationOptions);

  /** Ends the reputation in all threads; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /** Whether to refuse the address. The cheapest question; it takes no lock. */
  isBanned(ip: string): boolean;

  /** As `isBanned`, with all there is to tell. */
  check(ip: string): Verdict;

  /**
   * Counts `weight` failures (default 1) against the client. The one that makes `maxFailures` within `findTime` bans,
   * once, whichever threads they come from. Who is allowed, denied or banned is not counted against.
   *
   * @throws {SluiceError} `INVALID_OPTION` for a weight that is no positive integer, or a reason above 256 characters.
   */
  recordFailure(ip: string, options?: { weight?: number; reason?: string }): Verdict;

  /** Forgets the failures that count now; never a ban, nor the number of bans. */
  recordSuccess(ip: string): void;

  /**
   * Bans a client or a range for so long; of two bans the one that ends later holds. It is no step of the escalation.
   * False, and counted in `stats().untracked`, when there is no place for the client, as all others are banned.
   *
   * @throws {SluiceError} `INVALID_OPTION` for the duration or the reason.
   */
  ban(ipOrCidr: string, options: { duration: Duration | typeof Infinity; reason?: string }): boolean;

  /** Ends the ban of this client, or of exactly this range; false when there is none. Past bans stay remembered. */
  unban(ipOrCidr: string): boolean;

  /** The bans that stand, the first to end first. Costs one pass over all clients. */
  bans(): Ban[];

  /**
   * Replaces both lists for all threads in one moment; what is left out is empty. The options of the creation still
   * attach.
   *
   * @throws {SluiceError} `INVALID_ADDRESS`, `INVALID_OPTION`, and nothing is changed.
   */
  setLists(lists: { allow?: readonly string[]; deny?: readonly string[] }): void;

  /**
   * Writes everything but the lists to a file, whole or not at all, at whatever moment the process is killed. Blocks
   * until the disk has it. Fails as `node:fs` does.
   */
  save(path: string | URL): void;

  /**
   * Adds what a file holds: bans until the later of two ends, the longer memory of past bans, the more failures. To
   * load it twice changes nothing. Fails as `node:fs` does where it cannot be read.
   *
   * @throws {SluiceError} `CORRUPT_FILE`, `UNSUPPORTED_VERSION`, and nothing is changed.
   */
  load(path: string | URL): void;

  /** Costs one pass over all clients. */
  stats(): ReputationStats;
}

/** When {@link SecurityMonitor} raises an alert: `count` events of one client within `window`. */
export interface SecurityRule {
  /**
   * What alerts call it, at most 128 characters; no two rules of one monitor have the same.
   * @default what it says, such as `'login-failed-5-per-1m'`, or `'probe-distinct-5-per-1m'`
   */
  name?: string;
  /** The event that is counted, at most 128 characters. */
  event: string;
  /** How many of them, an integer from 1 to 10 000; with `distinct` to 1000. */
  count: number;
  /** Within how long, more than 0. An event leaves the window when it is as old as the window is long. */
  window: Duration;
  /**
   * Counts different details (passwords tried, paths scanned) rather than events: a detail counts once, from when it
   * was last seen. Events without a detail do not count then.
   * @default false
   */
  distinct?: boolean;
  /**
   * For how long the rule is silent for a client after an alert. Events still count meanwhile; with 0 each further event
   * that finds `count` in the window is an alert.
   * @default window
   */
  mute?: Duration;
  /** `'ban'` also bans the client, in the monitor's `reputation`. Listeners are told of both. */
  action: 'alert' | 'ban';
}

/** What {@link SecurityMonitor} takes. */
export interface SecurityMonitorOptions {
  /**
   * Newest events remembered, of all clients, an integer from 1 to 1 000 000.
   * @default 10_000
   */
  history?: number;
  /** At most 64; may be empty. */
  rules: readonly SecurityRule[];
  /** Name of the reputation in which rules ban; needed where one does. */
  reputation?: string;
  /**
   * Clients known at once, an integer from 1 to 10 000 000. Beyond, a newcomer takes the place of one that is far from
   * an alert.
   * @default 100_000
   */
  maxClients?: number;
  /**
   * What happens when these options differ from those in force. Fixed at creation: `history` and `maxClients`.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/** An event, as it is told. */
interface SecurityEventDetails {
  event: string;
  /** Who caused it, as {@link clientKey} names it. */
  client: string;
  /** What came with it: at most 256 bytes of UTF-8, cut before a character that does not fit. */
  detail: string | undefined;
  /** Only where the detail was longer. */
  detailCut?: true;
  /** When it was recorded, UTC in milliseconds. */
  at: number;
}

/** A client met a rule; the event is the one that met it. */
export interface SecurityAlert extends SecurityEventDetails {
  /** The rule's name. */
  rule: string;
  /** How many events, or different details, were found in the window: the rule's `count`, as no more are kept. */
  count: number;
  /** Alerts just before this one that were dropped, as more than 1024 waited. */
  missed?: number;
}

/** An event that is remembered. */
export interface SecurityEvent extends SecurityEventDetails {
  /** Its number: events are numbered from 0 as they are recorded, over all threads. */
  sequence: number;
}

/** Events that are remembered, the newest first. */
export interface SecurityHistory extends Array<SecurityEvent> {
  /** Events of the monitor that are remembered no longer, of whatever kind and client. */
  readonly forgotten: number;
}

/** Counts over all threads since creation; `clients` and `historySize` of now. */
export interface SecurityMonitorStats {
  /** Events recorded. */
  recorded: number;
  /** Alerts raised, those that ban among them. */
  alerts: number;
  /** Events that met a rule while it was silent for their client; once per rule. */
  muted: number;
  /** Bans asked for. */
  bans: number;
  /** Of them, those that nobody carried out: no reputation of this name, or its lists spare the client. */
  bansFailed: number;
  /** Clients known now. */
  clients: number;
  /** Clients forgotten for newcomers. */
  evictions: number;
  /** Events remembered. */
  historySize: number;
  /** Events remembered no longer. */
  historyForgotten: number;
}

/**
 * Events of all threads, counted per client, judged by rules in sliding windows and remembered for a while.
 *
 * A rule is met by exactly one event: the `count`-th of a client within its window, whichever threads recorded them.
 * Clients are addresses, counted as {@link clientKey} names them. Every method throws `CLOSED` after
 * `SecurityMonitor.destroy`; those that take an address throw `INVALID_ADDRESS`.
 */
export class SecurityMonitor {
  /**
   * Creates the monitor of this name, or attaches to it. With options that differ from those in force,
   * `onMismatch` decides; without options it attaches only.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND`.
   */
  constructor(name: string, options?: SecurityMonitorOptions);

  /** Ends the monitor in all threads; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /**
   * Records an event of a client, of a rule or not. One monitor takes 1024 different events: what differs by request
   * belongs in the detail, of which the first 256 bytes of UTF-8 are kept and compared.
   *
   * @throws {SluiceError} `INVALID_VALUE` for the event or the detail.
   */
  record(event: string, ip: string, detail?: string): void;

  /** What is remembered, of this client and this event where they are given. One pass over the history. */
  history(options?: { ip?: string; event?: string; limit?: number }): SecurityHistory;

  /** How often each event was recorded. */
  counts(): Record<string, number>;

  /** How often each event was recorded of this client since it is known: since its first, or since it was forgotten. */
  countsFor(ip: string): Record<string, number>;

  /**
   * The clients with the most events since they are known, at most `limit` (default 10). Of equals the lower address
   * comes first. One pass over all clients.
   */
  top(options?: { limit?: number }): { client: string; count: number }[];

  stats(): SecurityMonitorStats;

  /** Calls the listener for each alert of any thread from now on, in one order for all. It keeps no thread alive. */
  on(event: 'alert', listener: (alert: SecurityAlert) => void): this;
  once(event: 'alert', listener: (alert: SecurityAlert) => void): this;
  off(event: 'alert', listener: (alert: SecurityAlert) => void): this;
}

export type LifecycleState = 'starting' | 'running' | 'draining' | 'stopped';

export interface ShutdownOptions {
  /** Why, for the report, for hooks, and for the errors of what is refused. The first caller's counts. */
  reason?: string;
  /**
   * From the end of `delay` on; what is left then is ended. Where a shutdown goes on, this can only shorten its time.
   * @default '10s'
   */
  timeout?: Duration;
  /**
   * For how long servers go on as before, no longer ready: as long as a load balancer takes to see it.
   * @default 0
   */
  delay?: Duration;
  /**
   * For all hooks of a thread with `when: 'drained'` together, from the end of its drain on, however late that is. Where a
   * shutdown goes on, this can only shorten their time.
   * @default '5s'
   */
  hooksTimeout?: Duration;
}

/** What became of a hook. */
export type HookOutcome = { name: string; ok: true } | { name: string; ok: false; error: Error };

/** What came of a shutdown in one thread. */
export interface ThreadShutdownReport {
  /** False for a thread that stood still past the deadline. */
  responded: boolean;
  /** Whether nothing was forced, reset or left. */
  drained: boolean;
  /** Connections that had to be ended: at the deadline, or as a request's head or a handshake did not come to its end. */
  forced: number;
  /** Connections that closed since the shutdown began, those that were forced included. */
  connectionsClosed: number;
  /**
   * Connections that the system reset together with the listening socket, as they still waited to be accepted at the
   * deadline. Where the system does not say how many waited, 1.
   */
  connectionsReset: number;
  /** Tracked work that had not ended. */
  tasksLeft: number;
  /** In the order in which they were registered. */
  hooks: HookOutcome[];
  /** How long the hooks with `when: 'drained'` took; of all threads the longest time. */
  hooksMs: number;
}

/** What came of a shutdown: sums over all threads, of `hooksMs` the longest. */
export interface ShutdownReport extends Omit<ThreadShutdownReport, 'responded'> {
  /** As the first caller said; null when it said nothing. */
  reason: string | null;
  /** By Node's `threadId`. */
  perThread: Record<string, ThreadShutdownReport>;
  durationMs: number;
}

export interface ShutdownHookOptions {
  /** For the report. @default the function's name, or its number */
  name?: string;
  /**
   * At most the rest of the shutdown's time; for `'drained'` hooks, at most `hooksTimeout`.
   * @default as long as the shutdown has; '2s' for `'drained'` hooks
   */
  timeout?: Duration;
  /**
   * `'draining'` begins together with the closing of servers, `'drained'` when connections and work of this thread have
   * ended or their time has; those have a time of their own then.
   * @default 'draining'
   */
  when?: 'draining' | 'drained';
}

export interface SignalOptions extends Omit<ShutdownOptions, 'reason'> {
  /** @default ['SIGTERM', 'SIGINT'] */
  signals?: NodeJS.Signals[];
  /**
   * Exit with the end of the shutdown: 0 when it drained and all hooks went well, else 1. With false, the process
   * ends when nothing is left to do, and a second signal ends the time of the shutdown and of its hooks.
   * @default true
   */
  exit?: boolean;
}

export interface HealthOptions {
  /** 200 until the lifecycle has stopped. @default '/healthz' */
  livePath?: string;
  /** 200 while it runs. @default '/readyz' */
  readyPath?: string;
}

export interface LifecycleChange {
  state: LifecycleState;
  /** Changes that were dropped before this one, as this thread did not look. */
  missed?: number;
}

/** A part of the work: cancelled with its lifecycle, with the token above it, or by itself, in all threads. */
export interface LifecycleToken {
  readonly name: string;
  /** At this moment, in any thread; a native call, for loops that have no turn to wait for. */
  readonly isCancelled: boolean;
  /** Aborts in the next turn of this thread, with a `SHUTTING_DOWN` error as its reason. */
  readonly signal: AbortSignal;
  /** The token of this name below this one. It stays as long as the lifecycle, so names should be few. */
  child(name: string): LifecycleToken;
  /** Cancels it and those below it, in all threads; false when it was cancelled. */
  cancel(reason?: string): boolean;
  /**
   * Has the shutdown wait for the promise, and returns it. A function is begun with the signal; after the token was
   * cancelled it is not, and the promise rejects with `SHUTTING_DOWN`.
   */
  track<Work extends Promise<unknown>>(work: Work): Work;
  track<Result>(work: PromiseLike<Result>): Promise<Result>;
  track<Result>(work: (signal: AbortSignal) => Result | PromiseLike<Result>): Promise<Result>;
}

/** What {@link Lifecycle} takes. */
export interface LifecycleOptions {
  /** As of every named component. A lifecycle has no other options, so none can differ. */
  onMismatch?: OnMismatch;
}

/** One state machine over all threads: starting, running, draining, stopped. */
export class Lifecycle {
  /**
   * Creates the lifecycle of this name, or attaches to it. This thread takes part in it from now on, until it ends.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`.
   */
  constructor(name: string, options?: LifecycleOptions);

  /** Ends the lifecycle in all threads; false when there was none. Who waits for a report gets `CLOSED`. */
  static destroy(name: string): boolean;

  readonly name: string;
  /** At this moment, in any thread. */
  readonly state: LifecycleState;
  /** Whether a shutdown has begun: as `state`, and for hot loops. */
  readonly isCancelled: boolean;
  /** Aborts in the next turn of this thread after a shutdown began, with a `SHUTTING_DOWN` error as its reason. */
  readonly signal: AbortSignal;

  /** From starting to running, for all threads; nothing where it runs or has begun to shut down. */
  ready(): this;

  /** The token of this name, the same in all threads. It stays as long as the lifecycle, so names should be few. */
  child(name: string): LifecycleToken;

  /**
   * Has the shutdown wait for the promise, and returns it. A function is begun with the signal; once a shutdown has
   * begun it is not, and the promise rejects with `SHUTTING_DOWN`. After the end that is so for promises as well.
   */
  track<Work extends Promise<unknown>>(work: Work): Work;
  track<Result>(work: PromiseLike<Result>): Promise<Result>;
  track<Result>(work: (signal: AbortSignal) => Result | PromiseLike<Result>): Promise<Result>;

  /**
   * Runs `fn` when this thread shuts down, together with the other hooks.
   *
   * @throws {SluiceError} `SHUTTING_DOWN` once a shutdown has begun, `INVALID_OPTION`.
   */
  onShutdown(fn: (shutdown: { reason: string | null }) => unknown, options?: ShutdownHookOptions): this;

  /** The server closes with the lifecycle. Idempotent. One that listens after a shutdown began closes at once. */
  attach(server: Server): this;

  /**
   * Shuts all threads down, and waits for them. Whoever calls, and however often, gets the same report. Rejects with
   * `INVALID_OPTION` or `CLOSED`.
   */
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport>;

  /**
   * The first signal shuts down, the second exits with 128 and its number; the same kind again within 500 ms is one
   * signal. In the main thread only. Returns what takes the handlers away.
   *
   * @throws {SluiceError} `UNSUPPORTED` in another thread, `INVALID_OPTION`.
   */
  handleSignals(options?: SignalOptions): () => void;

  /** Answers probes, as middleware of Express, or of a plain server: true when it has answered. */
  health(
    options?: HealthOptions,
  ): (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void) => boolean;

  /** Answers probes, as plugin of Fastify 5 whose options are those of `health`, and attaches its server. */
  readonly fastify: (instance: object, options: HealthOptions) => Promise<void>;

  /** Calls the listener for each state of the lifecycle from now on. It keeps no thread alive. */
  on(event: 'change', listener: (change: LifecycleChange) => void): this;
  once(event: 'change', listener: (change: LifecycleChange) => void): this;
  off(event: 'change', listener: (change: LifecycleChange) => void): this;
}

export interface ListenOptions {
  /** 0 for a free one: the n-th server that each thread opens so is on the same port, in all cluster workers too. */
  port: number;
  /**
   * An address, or a name of one.
   * @default all addresses, IPv6 and IPv4
   */
  host?: string;
  /**
   * Connections that may wait to be accepted.
   * @default 511
   */
  backlog?: number;
}

/**
 * Listens on a port together with all threads of this process that ask for it. They accept from one queue, so
 * that what waits when a thread ends is served by another; the port closes with the last server. Cluster workers of
 * one primary share the port likewise.
 *
 * Rejects as `server.listen` fails, with `EADDRINUSE` where another process or this thread itself has the port, and
 * with `UNSUPPORTED` on Windows, for `https` servers on Bun, and in threads of cluster workers outside Linux.
 */
export function listen(server: Server, options: ListenOptions): Promise<{ port: number }>;

export type {
  CorsOptions,
  Guard,
  GuardClient,
  GuardDecision,
  GuardHandler,
  GuardMiddleware,
  GuardOptions,
  GuardPlugin,
  GuardShutdown,
  GuardStats,
  Problem,
  RateDecision,
  RecordEntry,
  Refusal,
  RefusedBodyOptions,
  RequestKey,
} from './lib/guard/guard';

/**
 * The guard of this name (default `'default'`): what `sluice/express` and `sluice/fastify` put before a server, for
 * several frameworks at once, or none. The first call in the process creates it, in whatever thread; others attach,
 * with the same options or without. `Request` is what its functions are given.
 *
 * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND` for a reputation or a
 *   monitor given by name that is not there.
 */
export function createGuard<Request = IncomingMessage>(
  name?: string,
  options?: Omit<GuardOptions<Request, GuardHandler>, 'name'>,
): Guard;

/**
 * What all guards of the process count, in whatever thread they were made, as one page in the text format of Prometheus.
 * Costs a pass over the tables of all their parts.
 *
 * @throws {SluiceError} `INVALID_OPTION` for a guard that there is not.
 */
export function metrics(options?: {
  /** Only these, by themselves or by name. */
  guards?: readonly (Guard | string)[];
}): string;

export {
  Broker,
  BrokerCounts,
  BrokerHandler,
  BrokerOptions,
  BrokerPeer,
  BrokerRequest,
  BrokerStats,
  CallOptions,
  CarriedError,
  PeerEvent,
} from './lib/broker/broker';
export {
  LeaveOptions,
  RestartOptions,
  SpawnOptions,
  WorkerGroup,
  WorkerState,
} from './lib/broker/worker-group';

// biome-ignore lint/complexity/noUselessEmptyExport: without it, what is not marked above is exported as well
export {};
