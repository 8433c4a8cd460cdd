// Limiters of other packages. Each function opens one and returns the function that decides for a key; it throws if the
// package cannot be loaded.
import { createRequire } from 'node:module';
import { MapLimiter } from './map-limiter.mjs';
import { DAY_MS, PLENTY } from './plenty.mjs';

const require = createRequire(import.meta.url);

export function ownMap() {
  const limiter = new MapLimiter(PLENTY, DAY_MS);
  return (key) => limiter.tryConsume(key);
}

/** The function returned is asynchronous. */
export async function flexible() {
  const { RateLimiterMemory } = await import('rate-limiter-flexible');
  const limiter = new RateLimiterMemory({ points: PLENTY, duration: DAY_MS / 1000 });
  return (key) => limiter.consume(key);
}

/** The function returned is asynchronous. */
export async function memoryStore() {
  const { MemoryStore } = await import('express-rate-limit');
  const store = new MemoryStore();
  store.init({ windowMs: DAY_MS });
  return (key) => store.increment(key);
}

/** Sized for `clients`, as it keeps 5000 by default. */
export function localStore(clients) {
  const LocalStore = require('@fastify/rate-limit/store/LocalStore.js');
  const store = new LocalStore(false, false, clients);
  let last;
  const onResult = (_error, result) => {
    last = result;
  };
  return (key) => {
    store.incr(key, onResult, DAY_MS, PLENTY);
    return last.current <= PLENTY;
  };
}

/** `create` must be called for each key before its first request. */
export async function hyperLimit(bucketCount) {
  const { HyperLimit } = (await import('@hyperlimit/core')).default;
  const limiter = new HyperLimit({ bucketCount });
  return {
    create: (key) => limiter.createLimiter(key, PLENTY, DAY_MS, false, 0, 0),
    tryRequest: (key) => limiter.tryRequest(key),
  };
}
