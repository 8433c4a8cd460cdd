// 10 000 regular clients call a limiter: first without a flood, while its keys are made and discarded, to measure what
// making them costs and to let the heap reach its size; then while the flood calls with its keys.
import { createRequire } from 'node:module';
import { answerWith } from '../child.mjs';
import { loadRawCall } from '../raw-call.mjs';
import { shuffled } from '../statistics.mjs';

const require = createRequire(import.meta.url);
const { RateLimiter } = require('../..');

const REGULARS = 10_000;
const MAX_KEYS = 1_000_000;
const LIMIT = 1000;
/** So long that nothing is replenished meanwhile: every client stays live to the end. */
const WINDOW = '30d';
/** Keys of the flood between two calls of each regular client. */
const WAVE = 500_000;

/** The floor: what the same clients' calls cost where they decide nothing, in memory that the flood does not touch. */
const exchange = rawExchange();

answerWith(({ keys, mostMs }) => {
  const quiet = phase('quiet', keys, mostMs, () => makeKeys);
  const flooded = phase('flooded', keys, mostMs, (limiter) => floodInto(limiter));
  return { maxKeys: MAX_KEYS, wellKnown: REGULARS, wave: WAVE, quiet, flooded };
});

/**
 * Returns ns per call of each wave, the resident memory after it, and how many regular clients were evicted. Clients call
 * the limiter after one wave and the floor after the next, as the first of two calls brings a client's string into the
 * caches. Ends early after `mostMs`.
 */
function phase(name, keys, mostMs, waveOf) {
  const limiter = new RateLimiter(name, { limit: LIMIT, window: WINDOW, maxKeys: MAX_KEYS });
  const wave = waveOf(limiter);
  const clients = Array.from({ length: REGULARS }, (_, client) => `198.51.${client >> 8}.${client & 255}`);
  const startedAt = performance.now();
  callAll(limiter, clients);
  const samples = { known: [], floor: [], wave: [], rss: [process.memoryUsage.rss()] };
  for (let from = 0; from < keys && performance.now() - startedAt < mostMs; from += WAVE) {
    samples.wave.push(timed(WAVE, () => wave(from)));
    const inTurn = shuffled(REGULARS).map((at) => clients[at]);
    if (samples.wave.length % 2 === 1) samples.known.push(timed(REGULARS, () => callAll(limiter, inTurn)));
    else if (exchange) samples.floor.push(timed(REGULARS, () => callFloor(inTurn)));
    samples.rss.push(process.memoryUsage.rss());
  }
  const calls = 1 + samples.known.length;
  const { liveEvictions } = limiter.stats();
  const forgotten = countForgotten(limiter, clients, calls);
  RateLimiter.destroy(name);
  return { ...samples, liveEvictions, forgotten };
}

function timed(calls, work) {
  const startedAt = performance.now();
  work();
  return ((performance.now() - startedAt) * 1e6) / calls;
}

function callAll(limiter, clients) {
  for (const client of clients) limiter.tryConsume(client);
}

function callFloor(clients) {
  for (const client of clients) exchange(client);
}

/** `undefined` where the library could not be built. */
function rawExchange() {
  try {
    return loadRawCall().exchange;
  } catch {
    return undefined;
  }
}

function floodInto(limiter) {
  return (from) => {
    for (let key = from; key < from + WAVE; key++) limiter.tryConsume(keyOf(key));
  };
}

function makeKeys(from) {
  let sum = 0;
  for (let key = from; key < from + WAVE; key++) sum += keyOf(key).charCodeAt(4);
  return sum;
}

/** Ten-digit numbers: the cheapest distinct strings. */
function keyOf(number) {
  return String(1_000_000_000 + number);
}

/** Clients with more units left than their calls allow have been evicted. */
function countForgotten(limiter, clients, calls) {
  return clients.filter((client) => limiter.peek(client).remaining > LIMIT - calls).length;
}
