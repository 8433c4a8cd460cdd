// Cases: reads of fresh values from a hub and from caches of other packages.
import { createRequire } from 'node:module';
import { addresses } from './keys.mjs';

const require = createRequire(import.meta.url);
const { ClientHub } = require('../..');

const CAPACITY = 20_000;
const HOUR_MS = 3_600_000;

const make = async () => ({ tier: 'free' });

export async function getOrInit() {
  const hub = await filled();
  const options = { ttl: HOUR_MS };
  return { call: (key) => hub.getOrInit(key, make, options), isAsync: true };
}

export async function get() {
  const hub = await filled();
  return { call: (key) => hub.get(key) };
}

/** With a time to live, as the hub has. */
export async function lruFetch() {
  const cache = await lruCache();
  return { call: (key) => cache.fetch(key), isAsync: true };
}

export async function lruGet() {
  const cache = await lruCache();
  for (const key of addresses()) await cache.fetch(key);
  return { call: (key) => cache.get(key) };
}

export async function dedupe() {
  const { createCache } = await import('async-cache-dedupe');
  const cache = createCache({
    ttl: HOUR_MS / 1000,
    storage: { type: 'memory', options: { size: CAPACITY } },
  });
  cache.define('plan', make);
  return { call: (key) => cache.plan(key), isAsync: true };
}

async function filled() {
  const hub = new ClientHub('benchmark', { maxEntries: CAPACITY });
  for (const key of addresses()) await hub.getOrInit(key, make, { ttl: HOUR_MS });
  return hub;
}

async function lruCache() {
  const { LRUCache } = await import('lru-cache');
  return new LRUCache({ max: CAPACITY, ttl: HOUR_MS, fetchMethod: make });
}
