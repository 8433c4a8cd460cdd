import type { OnMismatch } from '../runtime';

/** What {@link HitCounter} takes. All but `onMismatch` is fixed at creation. */
export interface HitCounterOptions {
  /**
   * Keys that the table is sized for, an integer from 1 to 2³².
   * @default 1_000_000
   */
  maxKeys?: number;
  /**
   * What a new key gets when every slot it may use holds a key whose window runs: the slot of the key that was hit at the
   * lowest rate (`'evict'`), the count `Infinity` (`'deny'`), or a count of its own hits alone, which is not kept
   * (`'allow'`).
   * @default 'evict'
   */
  overflow?: 'evict' | 'deny' | 'allow';
  /**
   * Keeps the texts of keys, for {@link HitCounter.dump}: the table itself keeps hashes. Takes the memory of the texts.
   * @default false
   */
  keepKeys?: boolean;
  /**
   * What happens when these options differ from those in force.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/** Another window for counts above a limit, begun by the hit that leaves the count there, in the same step. */
export interface HitRule {
  /** The limit, an integer up to 10⁹. */
  above: number;
  /** Milliseconds, above 0; `Infinity` never ends. Fractions are rounded up. */
  windowMs: number;
  /**
   * Whether only the hit that crosses the limit begins it. Without, each further hit begins it anew.
   * @default false
   */
  once?: boolean;
  /**
   * Whether it is twice as long with each hit after the first above the limit. Beyond 34 years it never ends.
   * @default false
   */
  double?: boolean;
}

/** The count of a key. */
export interface HitCount {
  /** Hits in the window. */
  count: number;
  /** Milliseconds until the window ends, a whole number; `Infinity` when it never does. */
  leftMs: number;
}

/** What {@link HitCounter.add} counted. */
export interface CountedHits extends HitCount {
  /** Whether the window began with this call. */
  first: boolean;
}

/** A key with its count, as {@link HitCounter.dump} returns it. */
export interface DumpedHits extends HitCount {
  key: string;
}

/** Sums over all threads since creation, and the state now. */
export interface HitCounterStats {
  /** Keys whose window runs. */
  size: number;
  /** Most keys held at once. */
  capacity: number;
  /** Keys evicted while their window ran. */
  liveEvictions: number;
  /** Calls that found no slot for their key. */
  untracked: number;
  /** Calls whose count was at an end of its range, −67 108 863 or 1 006 632 959: what goes beyond is lost. */
  saturated: number;
}

/**
 * Counts hits per key in windows that each call names, over all threads of the process: each hit once, also those above
 * any limit. It decides nothing, as the stores of other limiters. {@link RateLimiter} decides, and writes nothing for a
 * refused call.
 *
 * Times are whole UTC milliseconds. `now` is that of the process unless a call gives its own. A call with an earlier `now`
 * moves no end of a window. Windows up to 198 days end exactly; longer ones, and counts beyond 15 728 639, late by up to
 * 64 ms, from two years on and beyond 251 658 239 by up to 4 s.
 *
 * Methods throw `CLOSED` once the counter is destroyed, and `INVALID_KEY` for a key that is no non-empty string.
 */
export class HitCounter {
  /**
   * Creates the counter of this name, or attaches to it from any thread; without options it only attaches.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `NOT_FOUND` without options, `CONFIG_MISMATCH`.
   */
  constructor(name: string, options?: HitCounterOptions);

  /** Destroys the counter for all threads, and frees its memory; false when there was none. */
  static destroy(name: string): boolean;

  readonly name: string;

  /**
   * Counts `n` hits, which may be negative, in the window that runs, or in one of `windowMs` that begins now. A count of 0
   * and below keeps its window. One compare-and-swap; the cost is that of `RateLimiter.consume`.
   *
   * @param n an integer; default 1
   * @param windowMs milliseconds above 0, or `Infinity`; only used where no window runs
   * @throws {SluiceError} `INVALID_VALUE`, `INVALID_OPTION` for the rule.
   */
  add(key: string, n: number | undefined, windowMs: number, rule?: HitRule, now?: number): CountedHits;

  /**
   * Takes `n` hits back, down to a count of 0. The window stays; where none runs, nothing happens.
   *
   * @throws {SluiceError} `INVALID_VALUE`.
   */
  takeBack(key: string, n?: number, now?: number): void;

  /** The count of a key; null where no window runs. */
  get(key: string, now?: number): HitCount | null;

  /**
   * Gives the key this count and a window that begins now, in one step. False when the table has no slot for it.
   *
   * @throws {SluiceError} `INVALID_VALUE`.
   */
  set(key: string, count: number, windowMs: number, now?: number): boolean;

  /** Removes a key; whether a window ran. */
  delete(key: string, now?: number): boolean;

  /** Removes every key, one after the other. */
  clear(): void;

  /** `stats().size`: one pass over the table. */
  readonly size: number;

  /** Costs a pass over the table. */
  stats(): HitCounterStats;

  /**
   * The keys whose window runs at `now`, in no order. Costs a pass over their texts.
   *
   * @throws {SluiceError} `INVALID_OPTION` without `keepKeys`.
   */
  dump(now?: number): DumpedHits[];

  /**
   * Sets each of these keys, as {@link HitCounter.dump} returned them: their windows have as much left as then.
   *
   * @throws {SluiceError} `INVALID_VALUE`, and none is set.
   */
  restore(dumped: Iterable<DumpedHits>, now?: number): void;
}
