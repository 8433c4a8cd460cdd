import type {
  DestroyOptions,
  Duration,
  MachineScope,
  MachineStats,
  OnMismatch,
  QuotaOptions,
} from '../runtime';

/** How a limit counts. {@link GcraLimit} and {@link WindowLimit} say what each admits. */
export type Algorithm = 'gcra' | 'fixed-window' | 'sliding-window';

/** A bucket that refills evenly: it has no window edges, and a burst of its own. */
export interface GcraLimit extends QuotaOptions {
  /** @default 'gcra' */
  algorithm?: 'gcra';
}

/**
 * A count per window.
 *
 * - `'fixed-window'`: admits at most `limit` per window, which starts with the key's first call; around a window's end,
 *   up to twice that.
 * - `'sliding-window'`: admits while `previous × (1 − f) + current ≤ limit`. Windows are aligned to multiples of their
 *   length (UTC), and f is the elapsed share of the current one.
 */
export interface WindowLimit {
  algorithm: 'fixed-window' | 'sliding-window';
  /** Units per window, an integer from 1; at most 2³² − 1 for a fixed, 2²³ − 1 for a sliding window. */
  limit: number;
  /** Length of the window; at least 10 ms for a fixed window. */
  window: Duration;
  /** Windows have no burst: `INVALID_OPTION`. */
  burst?: never;
}

/** One of several limits. */
export type LimitOptions = (GcraLimit | WindowLimit) & {
  /**
   * What decisions and headers call the limit; unique in its limiter, at most 128 characters. Names are fixed, so give
   * one to a limit that you want to reconfigure.
   * @default its quota, such as `'10-per-1s'`
   */
  name?: string;
};

/** A single limit. In decisions it has the limiter's name. */
export type SingleLimitOptions = (GcraLimit | WindowLimit) & { limits?: never };

/** Several limits. */
export interface SeveralLimitsOptions {
  /**
   * One to six limits. A call is charged to all of them or to none. Decisions describe the limit that refuses longest, or
   * else the one with the least remaining share.
   */
  limits: readonly LimitOptions[];
  /** Set on an entry of `limits`, as are the next three; here it is `INVALID_OPTION`. */
  limit?: never;
  window?: never;
  burst?: never;
  algorithm?: never;
}

/** How connections to a server are encrypted. Its certificate is always verified. */
export interface FleetTls {
  /**
   * The authorities that are trusted, as PEM.
   * @default those of Node.js
   */
  ca?: string | Uint8Array;
  /** The certificate of this process, as PEM, for a server that requires one. */
  cert?: string | Uint8Array;
  /** The private key of `cert`, as PEM; not encrypted. */
  key?: string | Uint8Array;
  /**
   * The name that the server's certificate is to be for.
   * @default the host that is connected to
   */
  servername?: string;
}

/** How to log in to a server of Redis (6.2 or newer) or Valkey. */
export interface FleetAccount {
  /** The user of its access control list. */
  username?: string;
  password?: string;
  /**
   * The number of its database. A cluster has none but 0.
   * @default that of the url, or 0
   */
  database?: number;
  /** Encrypts, also where the url does not say so. */
  tls?: FleetTls;
}

/** One server. */
export interface FleetServer extends FleetAccount {
  /** `redis://host:port/database`, `rediss://…` over TLS, or `unix:///path`. */
  url: string;
}

/** The server that sentinels name, which they are asked for at each connection. */
export interface FleetSentinels extends FleetAccount {
  /** Urls of the sentinels, with the account to use at each. */
  sentinels: string[];
  /** What they call the server. */
  master: string;
}

/** A cluster. Each limiter's keys spread over its nodes. */
export interface FleetCluster extends FleetAccount {
  /** Urls of some of its nodes; they know the others. All have one account. */
  nodes: string[];
}

/**
 * Every process that names the same server and prefix shares the counts. Calls are awaited: `consumeAsync` and the other
 * methods that end in `Async`. Synchronous calls throw `UNSUPPORTED`, except those that `mode: 'lease'` decides.
 */
export interface FleetScope {
  /** The server that counts, by its url, or with more options; or several that act as one. */
  redis: string | FleetServer | FleetSentinels | FleetCluster;
  /**
   * `'exact'`: the server decides each call. `'lease'`: the process decides by units that the server has granted ahead, and
   * asks where too few are held. `tryConsume`, `consume`, `consumeMany` and handles of keys then work too; a call for which
   * too little is held is refused by them, while the server is asked for the next. Of several limits, units of each are
   * held.
   * @default 'exact'
   */
  mode?: 'exact' | 'lease';
  /**
   * What decides where the server does not answer: the count of this process by the same limits (`'local'`), admission
   * (`'allow'`), or a refusal (`'deny'`). Such a decision has `degraded: true`.
   * @default 'local'
   */
  onError?: 'local' | 'allow' | 'deny';
  /**
   * How long a call waits for the server; from 1 ms to a minute.
   * @default 50
   */
  timeout?: Duration;
  /**
   * What the keys on the server begin with: 1 to 64 printable ASCII characters without spaces and braces.
   * @default 'sluice:'
   */
  prefix?: string;
}

/** Which threads share a limiter. */
export type LimiterScope = 'process' | MachineScope | FleetScope;

/** What {@link RateLimiter} takes: one limit or several, and the size of its table. */
export type RateLimiterOptions = (SingleLimitOptions | SeveralLimitsOptions) & {
  /**
   * Keys that the table is sized for, an integer from 1 to 2³². A key that has its full quota needs no slot. With the
   * scope of the machine, where all memory is reserved at once, the default is 100_000.
   * @default 1_000_000
   */
  maxKeys?: number;
  /**
   * What a new key gets when every slot it may use holds a live key: the slot of the key closest to its full quota
   * (`'evict'`), a refusal (`'deny'`), or admission without being counted (`'allow'`). Only `'deny'` keeps every quota
   * exact even then. Blocked keys are never evicted.
   * @default 'evict'
   */
  overflow?: 'evict' | 'deny' | 'allow';
  /**
   * Decides, charges and counts as usual, but admits every call; decisions have `wouldRefuse`.
   * @default false
   */
  dryRun?: boolean;
  /**
   * Most calls of `acquire` that wait at once, over all keys and threads, an integer from 1 to a million. Beyond that,
   * `acquire` rejects with `BACKPRESSURE`.
   * @default 10_000
   */
  maxWaiting?: number;
  /**
   * Which threads share the limiter: all threads of this process, of every process of this machine that names one
   * directory, or of every process that uses one Redis server.
   * Fixed at creation.
   * @default 'process'
   */
  scope?: LimiterScope;
  /**
   * What happens when these options differ from those in force. Fixed at creation: `maxKeys`, `overflow`, and the
   * number, names and algorithms of the limits.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
};

/** The outcome of one call, as one of its limits describes it. Times are milliseconds, rounded up to integers. */
export interface Decision {
  /** Whether the call is admitted. */
  allowed: boolean;
  /** Units per window. */
  limit: number;
  /** Units that would still be admitted now. */
  remaining: number;
  /** Until the key has its full quota. */
  resetAfterMs: number;
  /**
   * Until the same call is admitted, if nothing else arrives: exactly then, not a millisecond before. 0 when it was
   * admitted; `Infinity` when the cost exceeds the burst or a window's limit.
   */
  retryAfterMs: number;
  /**
   * The name of the limit described: of several limits the one that refuses longest, or else the one with the least
   * remaining share. A single limit has the limiter's name.
   */
  policy: string;
  /** With `dryRun` only: whether the call would have been refused. */
  wouldRefuse?: boolean;
  /**
   * With a scope of the fleet only: what decided. `'redis'` is the server, now or, for a refusal, at most a second ago;
   * `'lease'` is what this process holds, or a refusal of the server that it knows of; the others are
   * {@link FleetScope.onError}. Of a lease, `remaining` does not know what other processes have used meanwhile.
   */
  source?: 'redis' | 'lease' | 'local' | 'allow' | 'deny';
  /** With a scope of the fleet only: whether the call was decided without the server. */
  degraded?: boolean;
}

/** How a call waits for its units. */
export interface AcquireOptions {
  /** Units, a positive integer. @default 1 */
  cost?: number;
  /**
   * The longest time to wait, from 1 ms; `Infinity` is a year. A call whose units come later rejects at once.
   * @default '30s'
   */
  timeout?: Duration | typeof Infinity;
  /** Ends the waiting: the promise rejects with `signal.reason`. */
  signal?: AbortSignal;
}

/** The decision of a call that was charged, perhaps after it waited. */
export interface AcquiredDecision extends Decision {
  /** Milliseconds that the call waited, rounded up; 0 where it was charged at once. */
  waitedMs: number;
}

/** What a limiter of the fleet counts in this process, and its link to the server, which other limiters may share. */
export interface FleetStats {
  /** `'idle'` before the first call; `'connecting'`: calls wait; `'away'`: `onError` decides at once. */
  state: 'idle' | 'connecting' | 'ready' | 'away';
  /** The server, without credentials. */
  server: string;
  /** The servers that are asked: one, the one that sentinels name, or the nodes of a cluster that keep counts. */
  nodes: { server: string; state: 'idle' | 'connecting' | 'ready' | 'away' }[];
  /** Its name and version, once it was connected. */
  version: string | null;
  /** What it does when its memory is full; under another policy than `'noeviction'`, counts may be lost. */
  evictionPolicy: string | null;
  /** What went wrong last. */
  lastError: string | null;
  /** Script calls sent by the link; one decides many calls. */
  commands: number;
  /** Connections that the link has made. */
  connections: number;
  /** Calls that the link holds now. */
  pending: number;
  /** Decisions of the server, remembered refusals included. */
  decisions: number;
  /** Those of them that were remembered refusals. */
  remembered: number;
  /** Refusals that are remembered now. */
  remembers: number;
  /** Decisions without the server, by `onError`. */
  local: number;
  /** With `mode: 'lease'`: units held now, of all clients. */
  held: number;
  /** With `mode: 'lease'`: units that were not used, and that the server has taken back. */
  givenBack: number;
  /** With `mode: 'lease'`: synchronous calls that were refused as too little was held. */
  missed: number;
  /** Calls that were not answered in time. */
  timeouts: number;
  /** Calls that the server answered with an error. */
  errors: number;
  /** A recent round trip of a script call; null before the first. */
  latencyMs: number | null;
  /** Calls that the server did not decide, by the reason. */
  failures: {
    timeout: number;
    away: number;
    /** As many calls were pending as a process holds. */
    full: number;
    /** The call reached the server too late, and charged nothing. */
    late: number;
    refused: number;
    /** The key held something that this library did not write. */
    foreign: number;
  };
}

/** Sums over all threads since creation, and the state now. */
export interface RateLimiterStats {
  /** Calls that were admitted. */
  allowed: number;
  /** Calls that were refused. */
  refused: number;
  /** Calls that `dryRun` admitted and a live limiter would have refused. */
  dryRefused: number;
  /** Calls that found no slot, decided by `overflow`, and blocks that were not kept. */
  untracked: number;
  /** Keys evicted while below their full quota: the only keys that may have got more than their quota. */
  liveEvictions: number;
  /** Keys blocked now. */
  blocked: number;
  /**
   * Keys whose next call of cost 1 would be refused, by their quota or a block: an estimate by a pass over the table, made
   * at most once a second. Under `dryRun`, those that a live limiter would refuse.
   */
  refusing: number;
  /** Calls of `acquire` that wait now. */
  waiting: number;
  /** Calls of `acquire` that waited and were charged; they count as `allowed`, too. */
  waited: number;
  /** Keys below their full quota, or blocked, now. */
  size: number;
  /** Most keys held at once: `maxKeys`, or the number of slots of a table for more than 16 384 keys. */
  capacity: number;
  /** With a scope of the fleet only. `size` and what follows it above are of the count that `onError: 'local'` uses. */
  fleet?: FleetStats;
  /**
   * With the scope of the machine only: processes that share the limiter now. The counts above are sums over all
   * processes since the file was made, `waiting` and `waited` aside.
   */
  processes?: number;
  /** With the scope of the machine only: processes that were found to have ended, since the file was made. */
  deaths?: number;
  /** With the scope of the machine only: the file, and which processes are attached. */
  machine?: MachineStats;
}

/** A key of one limiter, hashed once: for a key that is used often. It owns nothing and needs no closing. */
export interface KeyHandle {
  /** As {@link RateLimiter.tryConsume}. */
  tryConsume(cost?: number): boolean;
  /** As {@link RateLimiter.consume}. */
  consume(cost?: number): Decision;
  /** As {@link RateLimiter.acquire}. */
  acquire(options?: AcquireOptions): Promise<AcquiredDecision>;
  /** As {@link RateLimiter.peek}. */
  peek(): Decision;
}

/**
 * A rate limit per key that all threads share: together they admit the quota, and not one unit more.
 *
 * A key is a non-empty string of any length; keys that differ in one code unit are different keys. Every method throws
 * `INVALID_KEY` for other values, `INVALID_COST` for a cost that is not a positive integer, and `CLOSED` after
 * `RateLimiter.destroy`.
 */
export class RateLimiter {
  /**
   * Creates the limiter of this name, or attaches to it. If the options differ from those in force, `onMismatch` decides.
   * Without options it only attaches.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND`, `UNSUPPORTED`.
   */
  constructor(name: string, options?: RateLimiterOptions);

  /**
   * Ends the limiter in all threads of this process; false when there was none. Its name is free again. Where processes
   * share it, the others go on, and the last one to end it removes its file; with `everywhere` it ends in all of them.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`.
   */
  static destroy(name: string, options?: DestroyOptions): boolean;

  readonly name: string;

  /** Charges `cost` units (default 1) if they are available; true when the call is admitted. The cheapest call. */
  tryConsume(key: string, cost?: number): boolean;

  /** As `tryConsume`, with the whole decision. A refused call consumes nothing. */
  consume(key: string, cost?: number): Decision;

  /** As `consume`, but invalid arguments reject. With a scope of the fleet, the server decides, or what is held of it. */
  consumeAsync(key: string, cost?: number): Promise<Decision>;

  /**
   * Charges the units, or waits in the line of the key until they are available: first in, first out over all threads. The
   * promise resolves once they are charged. While a call waits, other calls for the key are refused; one that stops waiting
   * gives its units back, and those behind it move ahead. The waiting keeps its thread alive.
   *
   * With `dryRun` nothing waits. With a scope of the fleet: `UNSUPPORTED`.
   *
   * @throws {SluiceError} rejects with `TIMEOUT`, at once, where the units come later than `timeout`; `BACKPRESSURE` where
   * `maxWaiting` calls wait, or `overflow: 'deny'` finds no slot; both have `retryAfterMs`. `INVALID_COST` for a cost above
   * the burst or a window's limit; `CLOSED`; `INVALID_KEY`, `INVALID_OPTION`.
   */
  acquire(key: string, options?: AcquireOptions): Promise<AcquiredDecision>;

  /** As `peek`, in any scope. */
  peekAsync(key: string): Promise<Decision>;

  /**
   * As `refund`, in any scope. With a scope of the fleet this and the next three reject with `SCOPE_UNAVAILABLE` where the
   * server does not do it; after a time-out it may have been done. `BACKPRESSURE`: too many calls are pending.
   */
  refundAsync(key: string, cost?: number): Promise<void>;

  /** As `penalize`, in any scope. */
  penalizeAsync(key: string, cost?: number): Promise<void>;

  /** As `block`, in any scope. */
  blockAsync(key: string, duration: Duration): Promise<boolean>;

  /** As `reset`, in any scope. */
  resetAsync(key: string): Promise<boolean>;

  /**
   * Resolves once the server can be asked; at once in the scope of the process. Connects where nothing was asked yet.
   *
   * @throws {SluiceError} rejects with `SCOPE_UNAVAILABLE` and the cause after `timeout`, 5 s by default.
   */
  ready(options?: { timeout?: Duration }): Promise<void>;

  /** `tryConsume` for each key in turn. An invalid key throws before any key is charged. */
  consumeMany(keys: readonly string[], cost?: number): boolean[];

  /** The decision for a call of cost 1; charges and counts nothing. */
  peek(key: string): Decision;

  /** The key, hashed once, for calls that need not read it again. */
  handle(key: string): KeyHandle;

  /** Returns units (default 1) to every limit, up to its burst or a window's limit. */
  refund(key: string, cost?: number): void;

  /** Charges units (default 1) to every limit without a decision, down to none left. */
  penalize(key: string, cost?: number): void;

  /**
   * Refuses the key until the block ends; of several blocks, the latest end holds. What the key has used stays used.
   * False, and counted in `stats().untracked`, when no slot can be freed for the key.
   *
   * @throws {SluiceError} `INVALID_OPTION` for the duration.
   */
  block(key: string, duration: Duration): boolean;

  /** Removes the key's state and its block; true when there was any. */
  reset(key: string): boolean;

  /**
   * Replaces the given options in all threads at once. What keys have used stays used, as far as the new options could
   * have left it: a bucket is at most empty, and a fixed window ends no later than one that starts now. Blocks stay. The
   * options of the creation still attach.
   *
   * Fixed at creation: `maxKeys`, `overflow`, the names, number and algorithms of the limits, and the length of a sliding
   * window. The limit of a window must fit the width of its count, which is chosen at creation: at most 2²⁰ − 1, or the
   * next 2ⁿ − 1 where it was larger. Give all of `limits` or none.
   *
   * @throws {SluiceError} `INVALID_OPTION`, and nothing is changed.
   */
  reconfigure(options: Partial<RateLimiterOptions> & { onMismatch?: never }): void;

  /** Removes every key and block. */
  clear(): void;

  /** `stats().size`, at the same cost. */
  readonly size: number;

  /** One pass over the table: for a metrics endpoint, not for every request. */
  stats(): RateLimiterStats;
}
