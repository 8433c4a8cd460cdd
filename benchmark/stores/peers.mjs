// Stores of sluice beside the memory store of each limiter. A function opens a store for so many clients, and returns the call
// that the limiter makes for a request, and `forget(keys)`, which leaves the store as if the keys had never come.
import { createRequire } from 'node:module';
import { DAY_MS, PLENTY } from '../plenty.mjs';

const require = createRequire(import.meta.url);
/** Of the storage of Nest, which keeps a log of as many hits of each client. */
export const NEST_LIMIT = 100;

/** By limiter and call: its own store, and that of sluice. */
export const PEERS = {
  'express-rate-limit increment(key)': { own: expressOwn, shared: expressShared },
  '@fastify/rate-limit incr(key)': { own: fastifyOwn, shared: fastifyShared },
  'rate-limiter-flexible consume(key)': { own: flexibleOwn, shared: flexibleShared },
  '@nestjs/throttler increment(key)': { own: nestOwn, shared: nestShared },
};

let opened = 0;
const freshName = () => `benchmark ${++opened}`;

/** Of `consume`, which rejects with the same result beyond the points. */
const consumed = (result) => result.consumedPoints;

async function expressOwn() {
  const { MemoryStore } = await import('express-rate-limit');
  return expressCalls(new MemoryStore());
}

function expressShared(clients, name = freshName()) {
  const { ExpressRateLimitStore } = require('../../lib/stores/express-rate-limit.js');
  return expressCalls(new ExpressRateLimitStore({ name, maxKeys: clients }));
}

function expressCalls(store) {
  store.init({ windowMs: DAY_MS });
  return {
    call: (key) => store.increment(key),
    forget: () => store.resetAll(),
    countOf: async (answer) => (await answer).totalHits,
  };
}

function fastifyOwn(clients) {
  const LocalStore = require('@fastify/rate-limit/store/LocalStore.js');
  const made = () => new LocalStore(false, false, clients);
  let store = made();
  return {
    call: fastifyCall(() => store),
    countOf: fastifyCount,
    forget: () => {
      store = made();
    },
  };
}

function fastifyShared(clients, name = freshName()) {
  const { FastifyRateLimitStore } = require('../../lib/stores/fastify-rate-limit.js');
  const { HitCounter } = require('../..');
  const Store = FastifyRateLimitStore.named(name, { maxKeys: clients });
  const store = new Store({});
  const counter = new HitCounter(name);
  return { call: fastifyCall(() => store), countOf: fastifyCount, forget: () => counter.clear() };
}

const fastifyCount = async (answer) => (await answer).current;

/** As the plugin calls a store: it awaits a promise around the callback. */
function fastifyCall(store) {
  return (key) =>
    new Promise((resolve, reject) => {
      store().incr(key, (error, result) => (error ? reject(error) : resolve(result)), DAY_MS, PLENTY);
    });
}

async function flexibleOwn() {
  const { RateLimiterMemory } = (await import('rate-limiter-flexible')).default;
  return flexibleCalls(new RateLimiterMemory({ points: PLENTY, duration: DAY_MS / 1000 }));
}

function flexibleShared(clients, name = freshName()) {
  const { RateLimiterMemory } = require('../../lib/stores/rate-limiter-flexible.js');
  const options = { name, maxKeys: clients, points: PLENTY, duration: DAY_MS / 1000 };
  return flexibleCalls(new RateLimiterMemory(options));
}

function flexibleCalls(limiter) {
  return {
    call: (key) => limiter.consume(key),
    countOf: (answer) => answer.then(consumed, consumed),
    forget: async (keys) => {
      for (const key of keys) await limiter.delete(key);
    },
  };
}

function nestOwn() {
  require('reflect-metadata');
  const { ThrottlerStorageService } = require('@nestjs/throttler');
  const storage = new ThrottlerStorageService();
  return { call: nestCall(storage), countOf: nestCount, forget: () => storage.onApplicationShutdown() };
}

function nestShared(clients, name = freshName()) {
  const { ThrottlerStorage } = require('../../lib/stores/nestjs-throttler.js');
  const { HitCounter } = require('../..');
  const storage = new ThrottlerStorage({ name, maxKeys: clients });
  const counter = new HitCounter(name);
  return { call: nestCall(storage), countOf: nestCount, forget: () => counter.clear() };
}

const nestCount = async (answer) => (await answer).totalHits;

function nestCall(storage) {
  return (key) => storage.increment(key, DAY_MS, NEST_LIMIT, 0, 'default');
}
