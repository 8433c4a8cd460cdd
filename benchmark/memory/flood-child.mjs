// 10 000 well-known clients keep coming to a limiter: first in quiet, while the keys of a flood are made and thrown
// away, so that what making them costs is known and the heap has its size; then the flood calls with its keys.
import { createRequire } from 'node:module';
import { answerWith } from '../child.mjs';
import { shuffled } from '../statistics.mjs';

const require = createRequire(import.meta.url);
const { RateLimiter } = require('../..');

const WELL_KNOWN = 10_000;
const MAX_KEYS = 1_000_000;
const LIMIT = 1000;
/** So long that nothing is given back meanwhile: whoever came once is live to the end. */
const WINDOW = '30d';
/** Keys of the flood between two calls of every well-known client. */
const WAVE = 500_000;

answerWith(({ keys, mostMs }) => {
  const quiet = phase('quiet', keys, mostMs, () => makeKeys);
  const flooded = phase('flooded', keys, mostMs, (limiter) => floodInto(limiter));
  return { maxKeys: MAX_KEYS, wellKnown: WELL_KNOWN, wave: WAVE, quiet, flooded };
});

/**
 * Times of all calls, in ns per call; what the process had resident after each wave; who was forgotten. Ends
 * before all keys have come when it takes too long.
 */
function phase(name, keys, mostMs, waveOf) {
  const limiter = new RateLimiter(name, { limit: LIMIT, window: WINDOW, maxKeys: MAX_KEYS });
  const wave = waveOf(limiter);
  const clients = Array.from({ length: WELL_KNOWN }, (_, client) => `198.51.${client >> 8}.${client & 255}`);
  const startedAt = performance.now();
  for (const client of clients) limiter.tryConsume(client);
  const told = { known: [], wave: [], rss: [process.memoryUsage.rss()] };
  for (let from = 0; from < keys && performance.now() - startedAt < mostMs; from += WAVE) {
    told.wave.push(timed(WAVE, () => wave(from)));
    const inTurn = shuffled(WELL_KNOWN).map((at) => clients[at]);
    told.known.push(timed(WELL_KNOWN, () => comeAgain(limiter, inTurn)));
    told.rss.push(process.memoryUsage.rss());
  }
  const calls = 1 + told.known.length;
  const { liveEvictions } = limiter.stats();
  const forgotten = countForgotten(limiter, clients, calls);
  RateLimiter.destroy(name);
  return { ...told, liveEvictions, forgotten };
}

function timed(calls, work) {
  const startedAt = performance.now();
  work();
  return ((performance.now() - startedAt) * 1e6) / calls;
}

function comeAgain(limiter, clients) {
  for (const client of clients) limiter.tryConsume(client);
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

/** Numbers of ten digits: the cheapest strings that are all different. */
function keyOf(number) {
  return String(1_000_000_000 + number);
}

/** Those who have more left than their calls leave anybody. */
function countForgotten(limiter, clients, calls) {
  return clients.filter((client) => limiter.peek(client).remaining > LIMIT - calls).length;
}
