// The same task by others, open for measuring; throws where a package cannot be loaded.
import { createRequire } from 'node:module';
import { addresses } from './keys.mjs';
import { MapLimiter } from './map-limiter.mjs';
import { DAY_MS, PLENTY } from './plenty.mjs';

const require = createRequire(import.meta.url);

export function ownMap() {
  const limiter = new MapLimiter(PLENTY, DAY_MS);
  return { call: (key) => limiter.tryConsume(key) };
}

export function mapGet() {
  const values = new Map(addresses().map((key) => [key, { tier: 'free' }]));
  return { call: (key) => values.get(key) };
}

export async function flexible() {
  const { RateLimiterMemory } = await import('rate-limiter-flexible');
  const limiter = new RateLimiterMemory({ points: PLENTY, duration: DAY_MS / 1000 });
  return { call: (key) => limiter.consume(key), isAsync: true };
}

export async function memoryStore() {
  const { MemoryStore } = await import('express-rate-limit');
  const store = new MemoryStore();
  store.init({ windowMs: DAY_MS });
  return { call: (key) => store.increment(key), isAsync: true };
}

/** By default it keeps 5000 clients; here it has room for all. */
export function localStore() {
  const LocalStore = require('@fastify/rate-limit/store/LocalStore.js');
  const store = new LocalStore(false, false, addresses().length);
  let told;
  const tell = (_error, result) => {
    told = result;
  };
  return {
    call(key) {
      store.incr(key, tell, DAY_MS, PLENTY);
      return told.current <= PLENTY;
    },
  };
}

/** It wants a limiter made for each key before its first request, and buckets enough for all to find one. */
export async function hyperLimit() {
  const { HyperLimit } = (await import('@hyperlimit/core')).default;
  const limiter = new HyperLimit({ bucketCount: 1 << 16 });
  for (const key of addresses()) limiter.createLimiter(key, PLENTY, DAY_MS, false, 0, 0);
  return { call: (key) => limiter.tryRequest(key) };
}
