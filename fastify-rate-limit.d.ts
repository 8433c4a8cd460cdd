import type { HitCounterOptions } from './lib/hit-counter';

/** What the plugin is told of a key. */
export type FastifyRateLimitCallback = (
  error: Error | null,
  result?: { current: number; ttl: number },
) => void;

/**
 * The `store` of @fastify/rate-limit 11: a class, of which the plugin makes a store for itself and one for each route with options of
 * its own. Their counts are shared by all threads.
 */
export class FastifyRateLimitStore {
  /** The plugin calls it. The counter is named `'fastify-rate-limit'`, or as {@link FastifyRateLimitStore.named} says. */
  constructor(options?: object);
  /**
   * The class of a store with this name, for a server with several plugins. A route's store is named
   * `<name> <method> <url>`, one made by hand `<name> #1`, and so on in the order of making.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`.
   */
  static named(name: string, options?: HitCounterOptions): typeof FastifyRateLimitStore;
  /**
   * Counts one hit. The plugin calls it. Errors go to the callback: `INVALID_VALUE` for a window that is no number,
   * `INVALID_OPTION` for a `max` above 10⁹ other than `Infinity` where a rule needs it, `UNSUPPORTED_VERSION` for a call
   * of version 9 or before.
   */
  incr(key: string, callback: FastifyRateLimitCallback, timeWindow: number, max: number): void;
  read(key: string, callback: FastifyRateLimitCallback, timeWindow?: number, max?: number): void;
  child(route: object): FastifyRateLimitStore;
}
