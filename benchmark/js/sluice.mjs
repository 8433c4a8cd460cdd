// Cases: calls of sluice. Each returns the function to call, its items, and what it answers.
import { createRequire } from 'node:module';
import { DAY_MS, PLENTY, TEN_YEARS_MS } from '../plenty.mjs';
import { addresses, inOrder } from './keys.mjs';

const require = createRequire(import.meta.url);
const { RateLimiter, Registry } = require('../..');

/** A bucket is full again before the next call of its client, where there are 10 000. */
const GENEROUS = { limit: PLENTY, window: DAY_MS };
/** The state of a client is live at each call, as in a server. */
const LIVE = { limit: PLENTY, window: TEN_YEARS_MS };
/** The maximum limit of this algorithm. One client makes more calls in a run, but not in two of these windows. */
const SLIDING = { limit: 2 ** 23 - 1, window: 1_000, algorithm: 'sliding-window' };
/** Keys per call of `consumeMany`. */
const MANY = 64;

export function consuming() {
  return consumingFrom('gcra', GENEROUS);
}

export function consumingLive() {
  return consumingFrom('live', LIVE);
}

export function refusing() {
  return { ...consumingFrom('refusing', { limit: 1, window: DAY_MS }), admits: false };
}

export function handles() {
  const limiter = new RateLimiter('gcra', GENEROUS);
  const items = addresses().map((key) => limiter.handle(key));
  return { items, first: items, call: (handle) => handle.tryConsume() };
}

export function consumeWithDecision() {
  const limiter = new RateLimiter('gcra', GENEROUS);
  return { call: (key) => kept(limiter.consume(key)).allowed };
}

/** Timed per key, not per call. */
export function consumingMany(load) {
  const limiter = new RateLimiter('gcra', GENEROUS);
  const keys = inOrder(addresses(), load);
  const items = Array.from({ length: keys.length / MANY }, (_, at) => keys.slice(at * MANY, (at + 1) * MANY));
  return { items, first: items, call: (many) => limiter.consumeMany(many)[MANY - 1], keysPerCall: MANY };
}

export function peeking() {
  const limiter = new RateLimiter('gcra', GENEROUS);
  return { call: (key) => kept(limiter.peek(key)).allowed };
}

export function fixedWindow() {
  return consumingFrom('fixed', { ...GENEROUS, algorithm: 'fixed-window' });
}

export function slidingWindow() {
  return consumingFrom('sliding', SLIDING);
}

export function twoLimits() {
  const monthly = { limit: PLENTY, window: 30 * DAY_MS, algorithm: 'fixed-window' };
  return consumingFrom('two', { limits: [GENEROUS, monthly] });
}

/** Filled once per process, as filling it again would change it for other cases. */
export function registry() {
  const values = new Registry('benchmark');
  if (values.size === 0) values.replaceAll(addresses().map((key) => [key, { tier: 'free' }]));
  return { call: (key) => values.get(key) };
}

let last;

/** Keeps the object reachable, as V8 would otherwise not allocate it. */
function kept(decision) {
  last = decision;
  return last;
}

function consumingFrom(name, options) {
  const limiter = new RateLimiter(name, options);
  return { call: (key) => limiter.tryConsume(key) };
}
