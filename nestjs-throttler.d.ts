import type { HitCounterOptions } from './lib/hit-counter';

/** Options of {@link ThrottlerStorage}. */
export interface ThrottlerStorageOptions extends HitCounterOptions {
  /**
   * Names the counter. Storages of one name share it over all threads.
   *
   * @default 'nestjs-throttler'
   */
  name?: string;
}

/** What the guard learns of a client. Times are whole seconds, rounded up. */
export interface ThrottlerStorageRecord {
  /** Hits in the window; of a blocked client, one above the limit. */
  totalHits: number;
  /** Until the window, or the block, ends. */
  timeToExpire: number;
  isBlocked: boolean;
  /** Until the block ends; 0 where the client is not blocked. */
  timeToBlockExpire: number;
}

/** The `storage` of `ThrottlerModule` of @nestjs/throttler 6: its counts are shared by all threads. */
export class ThrottlerStorage {
  /** @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`. */
  constructor(options?: ThrottlerStorageOptions);
  /**
   * Counts one hit, and begins the block in the same step. The guard calls it.
   *
   * @param ttl milliseconds, as `blockDuration`
   * @throws {SluiceError} `INVALID_OPTION` for a limit above 10⁹ other than `Infinity`, `INVALID_VALUE` for a `ttl` that is no
   *   number, `UNSUPPORTED_VERSION` for a call without `throttlerName`, as version 5 makes it.
   */
  increment(
    key: string,
    ttl: number,
    limit: number,
    blockDuration: number,
    throttlerName: string,
  ): Promise<ThrottlerStorageRecord>;
}

/** {@link ThrottlerStorage}, beside the plugin's own symbol and interface of that name. */
export { ThrottlerStorage as SluiceThrottlerStorage };
