// The answers of this part on the short page.
import { cores } from '../machine.mjs';
import { median, ratio } from '../statistics.mjs';
import { COUNTS } from './threads.mjs';

const CHECK = 'sluice tryConsume(key), live states';
const SHARED = 'sluice tryConsume(key)';
const OTHERS = {
  'a `Map` of its thread': 'a Map with performance.now(), fixed window',
  '@fastify/rate-limit': '@fastify/rate-limit LocalStore.incr(key)',
  'express-rate-limit': 'express-rate-limit MemoryStore.increment(key)',
  'rate-limiter-flexible': 'rate-limiter-flexible RateLimiterMemory.consume(key)',
};

export function figures(results, threaded) {
  return [check(results), together(threaded)].filter(Boolean);
}

function check(results) {
  const samplesOf = (name) =>
    results.find((result) => result.name === name && result.load === 'uniform')?.samples;
  const sluice = samplesOf(CHECK);
  const beside = Object.entries(OTHERS)
    .filter(([, name]) => samplesOf(name) !== undefined)
    .map(([title, name]) => `${title}: ${ratio(samplesOf(name), sluice).toFixed(1)} ×`);
  return {
    question: 'What does a check cost?',
    answer: `\`tryConsume(key)\` takes ${median(sluice).toFixed(0)} ns with 10 000 clients`,
    beside: beside.join('; '),
  };
}

/** Undefined on a machine with one core. */
function together(threaded) {
  const most = COUNTS.filter((count) => count > 1 && count <= cores).at(-1);
  if (most === undefined) return undefined;
  const gain = (name, load) => {
    const { byCount } = threaded.find((result) => result.name === name && result.load === load);
    return most / ratio(byCount[COUNTS.indexOf(most)], byCount[0]);
  };
  return {
    question: 'Do threads slow each other down?',
    answer: `${most} threads make ${gain(SHARED, 'uniform').toFixed(2)} × the checks of one, on the same 10 000 clients`,
    beside: `all on one client: ${gain(SHARED, 'hot').toFixed(2)} ×`,
  };
}
