import type {
  IRateLimiterMemoryExport,
  IRateLimiterOptions,
  IRateLimiterRestoreDetailResponse,
  IRateLimiterRestoreResponse,
} from 'rate-limiter-flexible';
import { RateLimiterAbstract } from 'rate-limiter-flexible';
import type { HitCounterOptions } from './lib/hit-counter';

/** Options of {@link RateLimiterMemory}. */
export interface RateLimiterMemoryOptions extends IRateLimiterOptions, HitCounterOptions {
  /**
   * Names the counter. Limiters of one name share it over all threads; their keys differ by `keyPrefix`. Without `name` and
   * `keyPrefix`, the limiter counts alone, as that of rate-limiter-flexible, and its thread gets one process warning
   * (`SLUICE_UNNAMED_LIMITER`).
   *
   * @default `keyPrefix`, where it is neither empty nor 'rlflx'
   */
  name?: string;
}

type Dumped = Omit<IRateLimiterMemoryExport, 'dumpedAt'>;

/**
 * For `RateLimiterMemory` of rate-limiter-flexible 11, with points that all threads share. It extends the installed
 * `RateLimiterAbstract`, and results are of the installed `RateLimiterRes`, so wrappers (union, queue, bursty, black and white
 * lists, insurance) take it.
 *
 * Loading the module throws `UNSUPPORTED_VERSION` where rate-limiter-flexible 11 is not installed. Methods reject with
 * `INVALID_VALUE` for points that are no integers, and for durations that are no seconds from 0.
 */
export class RateLimiterMemory extends RateLimiterAbstract {
  /** @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, also for points above 10⁹, `CONFIG_MISMATCH`. */
  constructor(options: RateLimiterMemoryOptions);

  /**
   * The keys with the prefix of this limiter.
   *
   * @throws {SluiceError} `INVALID_OPTION` without `keepKeys`.
   */
  dump(): IRateLimiterMemoryExport;
  /**
   * Sets each key as it was dumped. A key for which a full table has no slot counts as none of the three.
   */
  restore(data: Dumped, detailResponse: true): IRateLimiterRestoreDetailResponse | undefined;
  restore(data: Dumped, detailResponse?: false): IRateLimiterRestoreResponse | undefined;
  restore(
    data: Dumped,
    detailResponse?: boolean,
  ): IRateLimiterRestoreResponse | IRateLimiterRestoreDetailResponse | undefined;
}
