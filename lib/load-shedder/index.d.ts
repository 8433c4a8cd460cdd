import type { Duration, OnMismatch } from '../runtime';

/** How much a request matters: `'high'` is shed last, `'low'` first, `'exempt'` never. */
export type Priority = 'high' | 'normal' | 'low' | 'exempt';

/** What {@link LoadShedder} takes. */
export interface LoadShedderOptions {
  /**
   * How long a request may wait for its event loop while the thread is behind; from 5 ms to 10 s. A request of a high
   * priority may wait twice as long. While the thread is not behind, each may wait four times as long.
   *
   * @default '50ms'
   */
  targetDelay?: Duration;
  /**
   * What happens when these options differ from those in force.
   *
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/** Counts over all threads since creation, and the state now. */
export interface LoadShedderStats {
  /** Requests admitted, by priority. */
  admitted: Record<Priority, number>;
  /** Requests shed, by priority. */
  shed: Record<Exclude<Priority, 'exempt'>, number>;
  /** Threads that have asked this shedder something. */
  threads: number;
  /** Those of them that are behind, of those that were asked within the last second. */
  behind: number;
  /** The longest of the last laps of these threads. */
  delayMs: number;
  /** The laps in which something was asked. */
  laps: { count: number; totalMs: number; longestMs: number };
  /** What the control group of the process says; null without one that has a quota of processor time. Decides nothing. */
  cpu: LoadShedderCpu | null;
}

/** The processor time of the process's control group (cgroup version 2 of Linux). */
export interface LoadShedderCpu {
  /** Periods in which the group ran. */
  periods: number;
  /** Those in which its quota was used up. */
  throttled: number;
  throttledMs: number;
  /** Percent of the last 10, 60 and 300 s in which something of the group waited for a processor; null where unknown. */
  pressure: { avg10: number; avg60: number; avg300: number } | null;
}

/**
 * Sheds load by how long requests wait for the event loop of their thread. Each thread decides by its own loop; the target
 * and the counts are shared by all threads.
 */
export class LoadShedder {
  /**
   * The first construction with options creates the shedder, later ones attach: with the same options, or without.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`; `NOT_FOUND` without options where there is
   *   none of this name.
   */
  constructor(name: string, options?: LoadShedderOptions);

  /** Ends the shedder for all threads: later calls throw `CLOSED`. False where there is none. */
  static destroy(name: string): boolean;

  readonly name: string;

  /**
   * Whether this thread takes the request on. Ask once for each, when its callback begins: what counts is how long the lap
   * of the event loop has lasted by then.
   *
   * @throws {SluiceError} `INVALID_VALUE` for another priority, `CLOSED`.
   */
  admit(priority?: Priority): boolean;

  /**
   * Whether each lap of this thread's event loop has taken longer than the target, for 100 ms or more.
   *
   * @throws {SluiceError} `CLOSED`.
   */
  readonly isBehind: boolean;

  /**
   * How long a request that comes now waits for this thread's event loop, as far as is known: the length of the last lap,
   * or the age of the running one where that is longer. In milliseconds, rounded up.
   *
   * @throws {SluiceError} `CLOSED`.
   */
  readonly delayMs: number;

  /**
   * Replaces the given options in all threads.
   *
   * @throws {SluiceError} `INVALID_OPTION`, `CLOSED`.
   */
  reconfigure(options: { targetDelay?: Duration }): void;

  /** @throws {SluiceError} `CLOSED`. */
  stats(): LoadShedderStats;
}
