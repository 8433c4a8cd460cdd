// The limiters of others. Each opens one with room for so many clients and gives the function that decides for a
// key; it throws where the package cannot be loaded.
import { createRequire } from 'node:module';
import { MapLimiter } from './map-limiter.mjs';
import { DAY_MS, PLENTY } from './plenty.mjs';

const require = createRequire(import.meta.url);

export function ownMap() {
  const limiter = new MapLimiter(PLENTY, DAY_MS);
  return (key) => limiter.tryConsume(key);
}

/** What it gives answers with a promise. */
export async function flexible() {
  const { RateLimiterMemory } = await import('rate-limiter-flexible');
  const limiter = new RateLimiterMemory({ points: PLENTY, duration: DAY_MS / 1000 });
  return (key) => limiter.consume(key);
}

/** What it gives answers with a promise. */
export async function memoryStore() {
  const { MemoryStore } = await import('express-rate-limit');
  const store = new MemoryStore();
  store.init({ windowMs: DAY_MS });
  return (key) => store.increment(key);
}

/** By default it keeps 5000 clients. */
export function localStore(clients) {
  const LocalStore = require('@fastify/rate-limit/store/LocalStore.js');
  const store = new LocalStore(false, false, clients);
  let told;
  const tell = (_error, result) => {
    told = result;
  };
  return (key) => {
    store.incr(key, tell, DAY_MS, PLENTY);
    return told.current <= PLENTY;
  };
}

/** It wants a limiter made for each key before its first request, by `create`. */
export async function hyperLimit(bucketCount) {
  const { HyperLimit } = (await import('@hyperlimit/core')).default;
  const limiter = new HyperLimit({ bucketCount });
  return {
    create: (key) => limiter.createLimiter(key, PLENTY, DAY_MS, false, 0, 0),
    tryRequest: (key) => limiter.tryRequest(key),
  };
}
