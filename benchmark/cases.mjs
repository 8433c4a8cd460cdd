// What is measured. A case is one call of one kind, under one load; all are asked by the same clients.
import { createRequire } from 'node:module';
import { addresses, inOrder } from './keys.mjs';
import { MapLimiter } from './map-limiter.mjs';
import { loopOver } from './rounds.mjs';

const require = createRequire(import.meta.url);
const { RateLimiter, Registry } = require('..');
const { native } = require('../lib/native.js');

/** So much that nobody uses it up, and so slow that no bucket is full again before the next call. */
const PLENTY = 1e9;
const DAY_MS = 86_400_000;
const GENEROUS = { limit: PLENTY, window: DAY_MS };
/** The most that this algorithm takes. */
const MOST_OF_SLIDING = 2 ** 23 - 1;

/** What all others are divided by. */
export const BASELINE = 'sluice tryConsume(key)';

/**
 * `by`: ours, somebody else's, or the least that any native call costs. `task`: only calls with the same one
 * are rivals. `open` gives what is called, with which items (clients, if nothing else), whether it admits
 * and whether it is awaited. `threads`: also measured in several.
 */
const KINDS = {
  [BASELINE]: { by: 'sluice', task: 'limit', threads: true, open: () => consuming('gcra', GENEROUS) },
  'sluice tryConsume(key), refused': { by: 'sluice', task: 'limit', threads: true, open: refusing },
  'sluice handle.tryConsume()': { by: 'sluice', task: 'limit', threads: true, open: handles },
  'sluice consume(key)': { by: 'sluice', task: 'limit', threads: true, open: consumeWithDecision },
  'sluice peek(key)': { by: 'sluice', task: 'limit', open: peeking },
  'sluice tryConsume(key), fixed-window': { by: 'sluice', task: 'limit', open: fixedWindow },
  'sluice tryConsume(key), sliding-window': { by: 'sluice', task: 'limit', open: slidingWindow },
  'sluice tryConsume(key), two limits': { by: 'sluice', task: 'limit', threads: true, open: twoLimits },
  'sluice Registry.get(key), unchanged': { by: 'sluice', task: 'read', threads: true, open: registry },
  'a Map with performance.now(), fixed window': { by: 'others', task: 'limit', threads: true, open: ownMap },
  'a Map, get(key)': { by: 'others', task: 'read', threads: true, open: mapGet },
  'rate-limiter-flexible RateLimiterMemory.consume(key)': { by: 'others', task: 'limit', open: flexible },
  'express-rate-limit MemoryStore.increment(key)': { by: 'others', task: 'limit', open: memoryStore },
  '@hyperlimit/core tryRequest(key)': { by: 'others', task: 'limit', open: hyperLimit },
  'floor: native.hashKey(key), string in': { by: 'floor', open: hashing },
  'floor: native.registryVersion(handle), number in, number out': { by: 'floor', open: numberInNumberOut },
  'floor: native.clockNow(), number out': { by: 'floor', open: clock },
};

export const names = Object.keys(KINDS);
export const threadedNames = names.filter((name) => KINDS[name].threads);

export function kindOf(name) {
  return KINDS[name];
}

/** The same strings for all, or where they lie in memory would be measured too. */
const clients = addresses();

/** The case, ready to run; throws where a peer cannot be loaded. Its clients are known before it is timed. */
export async function openCase(name, load) {
  const opened = await KINDS[name].open();
  const { call, items = clients, first = addresses(), admits = true, isAsync = false } = opened;
  for (const item of first) await call(item);
  return { name, load, admits, batch: loopOver(inOrder(items, load), call, isAsync) };
}

function consuming(name, options) {
  const limiter = new RateLimiter(name, options);
  return { call: (key) => limiter.tryConsume(key) };
}

function refusing() {
  return { ...consuming('refusing', { limit: 1, window: DAY_MS }), admits: false };
}

function handles() {
  const limiter = new RateLimiter('gcra', GENEROUS);
  const items = addresses().map((key) => limiter.handle(key));
  return { items, first: items, call: (handle) => handle.tryConsume() };
}

function consumeWithDecision() {
  const limiter = new RateLimiter('gcra', GENEROUS);
  return { call: (key) => limiter.consume(key).allowed };
}

function peeking() {
  const limiter = new RateLimiter('gcra', GENEROUS);
  return { call: (key) => limiter.peek(key).allowed };
}

function fixedWindow() {
  return consuming('fixed', { ...GENEROUS, algorithm: 'fixed-window' });
}

function slidingWindow() {
  return consuming('sliding', { limit: MOST_OF_SLIDING, window: DAY_MS, algorithm: 'sliding-window' });
}

function twoLimits() {
  const monthly = { limit: PLENTY, window: 30 * DAY_MS, algorithm: 'fixed-window' };
  return consuming('two', { limits: [GENEROUS, monthly] });
}

function registry() {
  const values = new Registry('benchmark');
  values.replaceAll(addresses().map((key) => [key, { tier: 'free' }]));
  return { call: (key) => values.get(key) };
}

function ownMap() {
  const limiter = new MapLimiter(PLENTY, DAY_MS);
  return { call: (key) => limiter.tryConsume(key) };
}

function mapGet() {
  const values = new Map(addresses().map((key) => [key, { tier: 'free' }]));
  return { call: (key) => values.get(key) };
}

async function flexible() {
  const { RateLimiterMemory } = await import('rate-limiter-flexible');
  const limiter = new RateLimiterMemory({ points: PLENTY, duration: DAY_MS / 1000 });
  return { call: (key) => limiter.consume(key), isAsync: true };
}

async function memoryStore() {
  const { MemoryStore } = await import('express-rate-limit');
  const store = new MemoryStore();
  store.init({ windowMs: DAY_MS });
  return { call: (key) => store.increment(key), isAsync: true };
}

/** It wants a limiter made for each key before its first request, and buckets enough for all to find one. */
async function hyperLimit() {
  const { HyperLimit } = (await import('@hyperlimit/core')).default;
  const limiter = new HyperLimit({ bucketCount: 1 << 16 });
  for (const key of addresses()) limiter.createLimiter(key, PLENTY, DAY_MS, false, 0, 0);
  return { call: (key) => limiter.tryRequest(key) };
}

function hashing() {
  return { call: (key) => native.hashKey(key) === undefined };
}

function numberInNumberOut() {
  const handle = native.openRegistry('benchmark');
  return { call: () => native.registryVersion(handle) >= 0 };
}

function clock() {
  return { call: () => native.clockNow() > 0 };
}
