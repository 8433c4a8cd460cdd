// Limiters to fill with clients. `open` gives a function that makes one client known.
import { createRequire } from 'node:module';
import { MapLimiter } from '../js/map-limiter.mjs';
import { DAY_MS, PLENTY } from '../js/plenty.mjs';

const require = createRequire(import.meta.url);

/** `isAsync`: what `open` gives must be awaited. */
export const CONTENDERS = {
  sluice: { open: sluice },
  'a Map with performance.now()': { open: ownMap },
  'rate-limiter-flexible RateLimiterMemory': { open: flexible, isAsync: true },
  'express-rate-limit MemoryStore': { open: memoryStore, isAsync: true },
  '@fastify/rate-limit LocalStore': { open: localStore },
  '@hyperlimit/core': { open: hyperLimit },
};

function sluice(clients) {
  const { RateLimiter } = require('../..');
  const limiter = new RateLimiter('memory', { limit: PLENTY, window: DAY_MS, maxKeys: clients });
  return (key) => limiter.tryConsume(key);
}

function ownMap() {
  const limiter = new MapLimiter(PLENTY, DAY_MS);
  return (key) => limiter.tryConsume(key);
}

async function flexible() {
  const { RateLimiterMemory } = await import('rate-limiter-flexible');
  const limiter = new RateLimiterMemory({ points: PLENTY, duration: DAY_MS / 1000 });
  return (key) => limiter.consume(key);
}

async function memoryStore() {
  const { MemoryStore } = await import('express-rate-limit');
  const store = new MemoryStore();
  store.init({ windowMs: DAY_MS });
  return (key) => store.increment(key);
}

function localStore(clients) {
  const LocalStore = require('@fastify/rate-limit/store/LocalStore.js');
  const store = new LocalStore(false, false, clients);
  return (key) => store.incr(key, () => {}, DAY_MS, PLENTY);
}

/** It wants a limiter made for each key before its first request, and buckets enough for all to find one. */
async function hyperLimit(clients) {
  const { HyperLimit } = (await import('@hyperlimit/core')).default;
  const limiter = new HyperLimit({ bucketCount: 2 ** Math.ceil(Math.log2(clients * 1.5)) });
  return (key) => {
    limiter.createLimiter(key, PLENTY, DAY_MS, false, 0, 0);
    return limiter.tryRequest(key);
  };
}
