import type { Guard } from './lib/guard';

/** What of a registry of prom-client is used. */
export interface MetricRegistry {
  registerMetric(metric: never): void;
  getSingleMetric(name: string): unknown;
  removeSingleMetric(name: string): void;
}

/** What {@link register} takes. */
export interface CollectorOptions {
  /** Only these guards and their parts, given as objects or by name. Left out: everything in the process. */
  guards?: readonly (Guard | string)[];
  /**
   * Whether to measure how long decisions and calls of brokers take, in all threads, from now on for as long as the process
   * runs. `false` by default.
   */
  histograms?: boolean;
  /**
   * What is joined where pages of several registries are: `'processes'`, whose counts are added up (the default), or
   * `'threads'` of one process, which all have the same counts, of which the first is taken.
   */
  aggregate?: 'processes' | 'threads';
}

/**
 * Adds the counts of the process to a registry of prom-client 15, and returns the registry. They are those of all
 * threads, whichever thread's registry is scraped. A second call with the same registry replaces the first.
 *
 * @throws {SluiceError} `INVALID_OPTION`, also for what is no registry.
 */
export function register<Registry extends MetricRegistry>(
  registry: Registry,
  options?: CollectorOptions,
): Registry;
