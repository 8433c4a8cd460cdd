import type { Duration, OnMismatch, QuotaOptions } from '../runtime';

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
