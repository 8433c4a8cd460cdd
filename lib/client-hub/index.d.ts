import type { Frozen } from '../registry';
import type { Duration, OnMismatch } from '../runtime';

/** A value of a {@link ClientHub}: plain data, without undefined. */
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
  /** Most bytes of values (as serialised) and keys kept at once; by default no limit. */
  maxBytes?: number;
  /**
   * What happens when these options differ from those in force. All of them may change; an option that is left out
   * stays.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/** A value is kept by the options of the call whose initialiser made it. */
export interface GetOrInitOptions<Value = unknown> {
  /**
   * How long a value is fresh; by default until it is invalidated or evicted. A function receives the new value. It may
   * also return `Infinity`, or 0 or less for a value that is never fresh.
   */
  ttl?: Duration | ((value: Value) => Duration);
  /**
   * How long after its `ttl` a value is still served, while one thread makes it anew in the background. After a refresh
   * that failed, the next begins after 1 s, then twice as long each time, up to 30 s.
   */
  staleWhileRevalidate?: Duration | ((value: Value) => Duration);
  /** How long after its `ttl` a value is still served when it cannot be made anew. */
  staleIfError?: Duration;
  /**
   * How long calls reject with the error of a failed initialiser, where there is no value to serve.
   * @default 0
   */
  retryAfter?: Duration;
  /**
   * How long this call's own initialiser may run. Then its signal aborts, the call rejects with `TIMEOUT`, and a
   * pending call runs its own initialiser.
   * @default '30s'
   */
  timeout?: Duration;
  /** Aborts this call: it rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface HubClientOptions<Value, Live> extends GetOrInitOptions<Value> {
  /** Builds the live object of a value, once for each thread and version. A promise that rejects is not kept. */
  revive?: (value: Frozen<Value>) => Live;
  /** Called once with each live object that was replaced in this thread, or whose value is gone. */
  dispose?: (live: Live) => void;
}

/** The live object of one key in this thread. Made by a {@link ClientHub} only. */
export interface HubClient<Live> {
  /** The live object of the current value, built where this thread has none. The value is made as by `getOrInit`. */
  get(): Promise<Awaited<Live>>;
  /** The live object of the current value, fresh or stale, where this thread has built it; else undefined. */
  readonly value: Live | undefined;
}

/** Sums over all threads since creation. `remembered` and the last four are of now. */
export interface ClientHubStats {
  /** Calls answered with a fresh value. */
  hits: number;
  /** Calls answered with a stale value. */
  stale: number;
  /** Calls of `getOrInit` and of clients that ran their initialiser, or waited for that of another call. */
  misses: number;
  /** Initialisers that began, also in the background. */
  initialisations: number;
  /** Initialisers that failed. */
  failures: number;
  /** Initialisers that took too long. */
  timeouts: number;
  /** How often a pending call took over from a call that took too long, was aborted, or whose thread ended. */
  handovers: number;
  /** Values evicted for others. */
  evictions: number;
  /** Expired values that were removed, by a call for their key or to make room. */
  expired: number;
  /** Values that were not kept, as each alone exceeds `maxBytes`. */
  tooLarge: number;
  /** Calls rejected with a remembered error. */
  rejected: number;
  /** Remembered errors. An expired one counts until its key is asked for. */
  remembered: number;
  /** Values kept. An expired one counts until it is removed. */
  entries: number;
  /** Bytes of these values and of their keys. */
  bytes: number;
  /** Calls pending on the initialiser of another call. */
  waiting: number;
  /** Initialisers that run. */
  initialising: number;
}

/**
 * A cache of plain data whose values are made once for all threads: one call runs its initialiser, and concurrent calls
 * receive its result. A value is deeply frozen, and in one thread the same object until it is made anew.
 *
 * `Value` is the type of the values; it is not checked at run time. Keys are non-empty strings without lone surrogates,
 * else `INVALID_KEY`. Every method throws `CLOSED` after `ClientHub.destroy`, or rejects with it.
 */
export class ClientHub<Value = HubValue> {
  /**
   * Creates the hub of this name, or attaches to it. Where the given options differ from those in force, `onMismatch`
   * decides.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`.
   */
  constructor(name: string, options?: ClientHubOptions);

  /** Ends the hub in all threads, and every pending call; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /**
   * The value of a key. Where there is none, one initialiser over all threads makes it. A failure rejects this call and
   * all that waited, and the next call tries again, unless `retryAfter` or `staleIfError` apply. Rejects for invalid
   * arguments too.
   *
   * The signal of `init` aborts when no call needs the result any more. A result that is not plain data rejects with
   * `INVALID_VALUE` and the path to the invalid part.
   */
  getOrInit<Made extends Value>(
    key: string,
    init: (signal: AbortSignal) => Made | PromiseLike<Made>,
    options?: GetOrInitOptions<Made>,
  ): Promise<Frozen<Made>>;

  /** The value, if it is fresh. */
  get(key: string): Frozen<Value> | undefined;

  /**
   * Removes a value. A value that is being made is received only by the calls that already wait for it. True when there
   * was either.
   */
  invalidate(key: string): boolean;

  /** A client for the live object of a key in this thread. Without `revive` the object is the value itself. */
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
