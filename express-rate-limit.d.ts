import type { HitCounterOptions } from './lib/hit-counter';

/** Options of {@link ExpressRateLimitStore}. */
export interface ExpressRateLimitStoreOptions extends HitCounterOptions {
  /**
   * Names the counter. Stores of one name share it over all threads, so each limiter has a name of its own.
   *
   * @default 'express-rate-limit'
   */
  name?: string;
}

/** What the store knows of a client. */
export interface ClientHits {
  totalHits: number;
  resetTime: Date;
}

/**
 * The `store` of a limiter of express-rate-limit 7 or 8 or hono-rate-limiter: its counts are shared by all threads. Its calls
 * answer at once, without a promise.
 */
export class ExpressRateLimitStore {
  /** @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`. */
  constructor(options?: ExpressRateLimitStoreOptions);
  readonly localKeys: boolean;
  /** The name. */
  readonly prefix: string;
  /**
   * The limiter calls it.
   *
   * @throws {SluiceError} `INVALID_OPTION` for a window that is not above 0, or not that of the limiter that had the store
   *   before.
   */
  init(options: { windowMs: number }): void;
  increment(key: string): ClientHits;
  decrement(key: string): void;
  get(key: string): ClientHits | undefined;
  resetKey(key: string): void;
  resetAll(): void;
}
