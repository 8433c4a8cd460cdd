import type { MeterProvider } from '@opentelemetry/api';
import type { Guard } from './lib/guard';

/** What {@link register} takes. */
export interface ObserverOptions {
  /** Whose meter observes; that which `metrics.setGlobalMeterProvider` has set by default. */
  meterProvider?: MeterProvider;
  /** Only these guards and their parts, given as objects or by name. Left out: everything in the process. */
  guards?: readonly (Guard | string)[];
  /**
   * Whether to measure how long decisions and calls of brokers take, in all threads, from now on for as long as the process
   * runs. `false` by default.
   */
  histograms?: boolean;
}

/**
 * Lets a meter of OpenTelemetry, named `sluice`, observe the counts of the process, at each collection of its readers. They
 * are those of all threads: call it in one thread of a process. The function that it returns ends the observation.
 *
 * @throws {SluiceError} `INVALID_OPTION`.
 */
export function register(options?: ObserverOptions): () => void;
