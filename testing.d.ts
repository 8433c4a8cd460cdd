/// <reference types="node" />

import type { Duration } from './lib/runtime';

/** Control over the clock of the whole process. */
export interface ManualClock {
  /**
   * Sets it to this time, also an earlier one: UTC in milliseconds, an integer from 0 to the year 2100.
   *
   * @throws {SluiceError} `UNSUPPORTED` while the clock follows timers.
   */
  set(ms: number): void;
  /**
   * Moves it on, to the year 2100 at most.
   *
   * @throws {SluiceError} `UNSUPPORTED` while the clock follows timers.
   */
  advance(duration: Duration): void;
  /** Lets it run again, as it would without having been stopped. */
  restore(): void;
  /** Where it stands, in milliseconds. */
  readonly now: number;
  /** As `restore`. */
  [Symbol.dispose](): void;
}

/** What {@link manualClock} takes. */
export interface ManualClockOptions {
  /**
   * With `'timers'` the clock shows the date of the calling thread, `Date.now()`, and moves with the fake timers of jest,
   * vitest, node:test or `@sinonjs/fake-timers` that set it. Left out, the clock moves by hand.
   */
  follow?: 'timers';
}

/**
 * Stops the clock of decisions, deadlines and reports, in every thread of this process, until `restore`. Stopped
 * before, it stays where it is: all that are returned control the one clock.
 */
export function manualClock(options?: ManualClockOptions): ManualClock;

/**
 * Empties every instance of the process, in all threads: what is counted, kept or held is forgotten, and pending calls
 * and waits reject with `CLOSED`. Objects keep working; listeners, handlers, hooks and attached servers stay. Options
 * stay until the next construction with options, which sets all of them. Neither files nor sockets are touched, nor is
 * the clock.
 *
 * @throws {SluiceError} `UNSUPPORTED` where `NODE_ENV` is `'production'`.
 */
export function reset(): void;
