import type { Guard } from '../guard';

/** What {@link metrics} takes. */
export interface MetricsOptions {
  /** Only these guards and their parts, given as objects or by name. Left out: everything in the process. */
  guards?: readonly (Guard | string)[];
  /**
   * Whether to measure how long decisions and calls of brokers take, in all threads, from now on for as long as the process
   * runs, and to show it. `false` by default.
   */
  histograms?: boolean;
}

/**
 * What all guards and components of the process count, whichever threads created them, as one page in the text format of
 * Prometheus. Costs a pass over the tables of all of them.
 *
 * @throws {SluiceError} `INVALID_OPTION`, also for a guard that does not exist.
 */
export function metrics(options?: MetricsOptions): string;
