// `tryConsume` by units that are held, beside `tryConsume` in the scope of the process. They take turns within a round.
import { createRequire } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';
import { median, ratio, shuffled, spread } from '../statistics.mjs';
import { table } from '../table.mjs';

const require = createRequire(import.meta.url);

const CLIENTS = Array.from({ length: 64 }, (_, n) => `203.0.113.${n}`);
const CALLS = 200_000;
/** So high that no quota is spent. */
const QUOTA = { limit: 1_000_000_000, window: '1h' };

/** Nanoseconds of a call by round, and the share of calls that found too little held. */
export async function measure(port, { rounds }) {
  const { RateLimiter } = require('../../index.js');
  const scope = { redis: `redis://127.0.0.1:${port}`, mode: 'lease', timeout: '10s' };
  const cases = [
    { name: 'the process', limiter: new RateLimiter('benchmark-held-none', QUOTA), ns: [], missed: 0 },
    { name: 'leases', limiter: new RateLimiter('benchmark-held', { ...QUOTA, scope }), ns: [], missed: 0 },
  ];
  for (const { limiter } of cases) for (let n = 0; n < 10; n++) await warm(limiter);
  for (let round = 0; round < rounds; round++) {
    for (const at of shuffled(cases.length)) {
      const measured = cases[at];
      await warm(measured.limiter);
      const { ns, missed } = callMany(measured.limiter);
      measured.ns.push(ns);
      measured.missed += missed;
    }
  }
  for (const { limiter } of cases) RateLimiter.destroy(limiter.name);
  return cases;
}

async function warm(limiter) {
  for (const client of CLIENTS) await limiter.consumeAsync(client);
  callMany(limiter);
  await turn();
}

function callMany(limiter) {
  let missed = 0;
  const startedAt = performance.now();
  for (let n = 0; n < CALLS; n++) {
    if (!limiter.tryConsume(CLIENTS[n % CLIENTS.length])) missed += 1;
  }
  return { ns: ((performance.now() - startedAt) * 1e6) / CALLS, missed };
}

export function section(cases) {
  const rows = cases.map(({ name, ns, missed }) => [
    `by ${name}`,
    median(ns).toFixed(1),
    `${(100 * spread(ns)).toFixed(0)} %`,
    `${((100 * missed) / (ns.length * CALLS)).toFixed(2)} %`,
  ]);
  const text = table(['`tryConsume`', 'ns a call', '±', 'too little held'], rows);
  return `### Calls decided by leases\n\nOne GCRA limit, ${CLIENTS.length} clients that call all the time.\n\n${text}`;
}

export function target([process, leases]) {
  return {
    what: 'ns of tryConsume: leases / the process',
    unit: '×',
    atMost: 1.2,
    value: ratio(leases.ns, process.ns),
  };
}
