import type { Frozen } from '../registry';
import type { Duration, OnMismatch } from '../runtime';

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
