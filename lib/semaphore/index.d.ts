import type { Duration, OnMismatch } from '../runtime';

export interface SemaphoreOptions {
  /** Permits for each key; calls without a key share those of one. An integer from 1. */
  permits: number;
  /**
   * Most calls that wait at once, over all keys and threads. An integer from 1 to 1 000 000.
   *
   * @default 10_000
   */
  maxWaiting?: number;
  /**
   * Which threads share it. Beyond the process `UNSUPPORTED`.
   *
   * @default 'process'
   */
  scope?: 'process';
  /**
   * What happens when options differ from those of the existing semaphore.
   *
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

export interface TryPermitOptions {
  /** A non-empty string, of any length and any characters. */
  key?: string;
  /**
   * How many permits, from 1 to those of the semaphore.
   *
   * @default 1
   */
  permits?: number;
}

export interface PermitOptions extends TryPermitOptions {
  /**
   * How long the call may wait; `Infinity` for no limit.
   *
   * @default '30s'
   */
  timeout?: Duration | typeof Infinity;
  /** Ends the waiting: the call rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Sums over all threads. */
export interface SemaphoreStats {
  /** Permits of each key, as they are in force. */
  permits: number;
  /** Permits held now, over all keys. */
  held: number;
  /** Calls that wait now. */
  waiting: number;
  /** Keys of which permits are held or awaited now. */
  keys: number;
  /** Calls that received their permits, since creation. */
  acquired: number;
  /** Calls that did not: refused by `tryAcquire` or `maxWaiting`, or timed out. */
  refused: number;
  /** Calls whose permits were taken back, as their thread did not accept them within 10 ms. */
  takenBack: number;
  /** Permits held now, by Node's id of the thread. */
  perThread: Record<string, number>;
}

/** Permits that are held until they are released, or until their thread ends. Made by a {@link Semaphore} only. */
export interface SemaphorePermit {
  /** Returns the permits, once; a later call does nothing. The first calls in the line receive them. */
  release(): void;
  [Symbol.dispose](): void;
}

/**
 * So many at once, over all threads: of each key, no more than `permits` are held. Further calls wait in a line, first in,
 * first out over all threads, whatever they ask for. With one permit it is a mutex.
 *
 * Permits are held until they are released or their thread ends; garbage collection releases nothing. A call that waits
 * keeps its thread alive. `acquire` within `run` of the same mutex waits for itself, until its timeout.
 *
 * Every method throws `CLOSED` after `Semaphore.destroy`, or rejects with it; `release` does nothing.
 */
export class Semaphore {
  /**
   * Creates the semaphore of this name, or attaches to it. Where the given options differ from those in force,
   * `onMismatch` decides. Without options it attaches only.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND`, `UNSUPPORTED`.
   */
  constructor(name: string, options?: SemaphoreOptions);

  /** Ends the semaphore in all threads, and every call that waits; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /**
   * Resolves with permits once they are free and no call waits before this one. Rejects with `TIMEOUT` after `timeout`,
   * with `BACKPRESSURE` where `maxWaiting` calls wait, with the signal's reason, and with `CLOSED`; for invalid arguments
   * too: `INVALID_KEY`, `INVALID_OPTION`, also for more permits than there are.
   */
  acquire(options?: PermitOptions): Promise<SemaphorePermit>;

  /**
   * Permits that are free, where no call waits for them; else null.
   *
   * @throws {SluiceError} `INVALID_KEY`, `INVALID_OPTION`, `CLOSED`.
   */
  tryAcquire(options?: TryPermitOptions): SemaphorePermit | null;

  /**
   * Acquires permits, calls `fn`, and releases them once its result has settled. Resolves or rejects as `fn` does, or as
   * `acquire`. `fn` receives the signal of the options, else one that never aborts; without a parameter it receives none.
   */
  run<Result>(
    fn: (signal: AbortSignal) => Result | PromiseLike<Result>,
    options?: PermitOptions,
  ): Promise<Awaited<Result>>;

  /**
   * Changes options in all threads. What is left out stays as it is. Permits that are held stay held; with fewer permits,
   * new ones wait for releases, and calls that wait for more than there are reject with `INVALID_OPTION`.
   *
   * @throws {SluiceError} `INVALID_OPTION`, `CLOSED`.
   */
  reconfigure(options: { permits?: number; maxWaiting?: number }): void;

  /** Costs a pass over the keys of which permits are held or awaited. */
  stats(): SemaphoreStats;
}
