// Limiters to fill with clients. `open` returns a function that makes one client known.
import { createRequire } from 'node:module';
import * as limiters from '../limiters.mjs';
import { DAY_MS, PLENTY } from '../plenty.mjs';

const { RateLimiter } = createRequire(import.meta.url)('../..');

/** What keeps no client: the growth of its process is that of V8's heap. */
export const NOTHING = 'nothing';

/** `isAsync`: the function that `open` returns must be awaited. */
export const CONTENDERS = {
  sluice: { open: sluice },
  'a Map with performance.now()': { open: limiters.ownMap },
  'rate-limiter-flexible RateLimiterMemory': { open: limiters.flexible, isAsync: true },
  'express-rate-limit MemoryStore': { open: limiters.memoryStore, isAsync: true },
  '@fastify/rate-limit LocalStore': { open: limiters.localStore },
  '@hyperlimit/core': { open: hyperLimit },
};

/** How a limiter, or what keeps nothing, is opened. */
export function contender(name) {
  return name === NOTHING ? { open: () => (key) => key.length } : CONTENDERS[name];
}

function sluice(clients) {
  const limiter = new RateLimiter(`of ${clients}`, { limit: PLENTY, window: DAY_MS, maxKeys: clients });
  return (key) => limiter.tryConsume(key);
}

/** With a table that is at most two thirds full. */
async function hyperLimit(clients) {
  const { create, tryRequest } = await limiters.hyperLimit(2 ** Math.ceil(Math.log2(clients * 1.5)));
  return (key) => {
    create(key);
    return tryRequest(key);
  };
}
