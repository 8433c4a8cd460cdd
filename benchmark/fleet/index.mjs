// The part `fleet`: decisions of a Redis server on this machine, beside rate-limiter-flexible over ioredis. One process, one
// connection each; contenders take turns within a round.
import { createRequire } from 'node:module';
import { startRedis } from '../http/redis.mjs';
import { median, ratio, shuffled, spread } from '../statistics.mjs';
import { table } from '../table.mjs';
import * as faults from './faults.mjs';
import * as leases from './leases.mjs';

export const title = 'Limits of a fleet, on Redis';

const require = createRequire(import.meta.url);

const QUICK = { rounds: 5, ms: 150 };
const FULL = { rounds: 15, ms: 400 };
const IN_FLIGHT = [1, 10, 100];
const CLIENTS = Array.from({ length: 1000 }, (_, n) => `203.0.${n >> 8}.${n & 255}`);

const SLUICE = 'sluice';
const FLEXIBLE = 'rate-limiter-flexible, ioredis';

/** High enough that no call is refused, which both remember. */
const LIMIT = 1_000_000;
const HOUR_S = 3_600;

const NO_REDIS = '**Not measured: limits of a fleet**, as `redis-server` is not installed or does not start.';

export async function run({ quick }) {
  const redis = await startRedis();
  if (redis === undefined) return { sections: [], skipped: [NO_REDIS], losses: [], targets: [], charts: [] };
  const contenders = openContenders(redis.port);
  try {
    console.log('sluice: decisions of Redis');
    const results = await measure(contenders, quick ? QUICK : FULL);
    console.log('sluice: answers while something is wrong with Redis');
    const answers = await faults.measure(quick ? QUICK.rounds : FULL.rounds);
    console.log('sluice: calls decided by leases');
    const held = await leases.measure(redis.port, quick ? QUICK : FULL);
    return {
      sections: [section(results), faults.section(answers), leases.section(held)],
      skipped: [],
      losses: losses(results),
      targets: [...targets(results), ...faults.targets(answers), leases.target(held)],
      charts: [],
    };
  } finally {
    for (const { close } of contenders) close();
    redis.stop();
  }
}

function openContenders(port) {
  const { RateLimiter } = require('../../index.js');
  const { Redis } = require('ioredis');
  const { RateLimiterRedis } = require('rate-limiter-flexible');
  const scope = { redis: `redis://127.0.0.1:${port}`, timeout: '10s' };
  const limiter = new RateLimiter('benchmark-fleet', { limit: LIMIT, window: '1h', scope });
  const client = new Redis(port, '127.0.0.1');
  const flexible = new RateLimiterRedis({ storeClient: client, points: LIMIT, duration: HOUR_S });
  return [
    {
      name: SLUICE,
      decide: (key) => limiter.consumeAsync(key),
      close: () => RateLimiter.destroy('benchmark-fleet'),
    },
    { name: FLEXIBLE, decide: (key) => flexible.consume(key), close: () => client.disconnect() },
  ];
}

/** By contender and calls in flight: microseconds and CPU microseconds of this process for each decision, by round. */
async function measure(contenders, { rounds, ms }) {
  const cases = contenders.flatMap(({ name, decide }) =>
    IN_FLIGHT.map((inFlight) => ({ name, decide, inFlight, us: [], cpu: [] })),
  );
  for (const { decide, inFlight } of cases) await decideFor(decide, inFlight, ms / 2);
  for (let round = 0; round < rounds; round++) {
    for (const at of shuffled(cases.length)) {
      const measured = cases[at];
      const { us, cpu } = await decideFor(measured.decide, measured.inFlight, ms);
      measured.us.push(us);
      measured.cpu.push(cpu);
    }
  }
  return cases;
}

async function decideFor(decide, inFlight, ms) {
  let decisions = 0;
  const endsAt = performance.now() + ms;
  const loop = async (first) => {
    for (let n = first; performance.now() < endsAt; n += inFlight) {
      await decide(CLIENTS[n % CLIENTS.length]);
      decisions += 1;
    }
  };
  const startedAt = performance.now();
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: inFlight }, (_, n) => loop(n)));
  const { user, system } = process.cpuUsage(before);
  return { us: ((performance.now() - startedAt) * 1000) / decisions, cpu: (user + system) / decisions };
}

const find = (results, name, inFlight) =>
  results.find((each) => each.name === name && each.inFlight === inFlight);

function section(results) {
  const rows = results.map(({ name, inFlight, us, cpu }) => [
    `${name}, ${inFlight} in flight`,
    median(us).toFixed(1),
    `${(100 * spread(us)).toFixed(0)} %`,
    median(cpu).toFixed(1),
  ]);
  const text = table(['', 'µs a decision', '±', 'CPU µs of the process'], rows);
  return `### Decisions of a Redis server\n\nOne GCRA limit, ${CLIENTS.length} clients, the server on the same machine.\n\n${text}`;
}

/** How many times as fast as the other sluice decides. */
const speedup = (results, inFlight) =>
  ratio(find(results, FLEXIBLE, inFlight).us, find(results, SLUICE, inFlight).us);

function losses(results) {
  return IN_FLIGHT.filter((inFlight) => speedup(results, inFlight) < 0.95).map(
    (inFlight) =>
      `A decision of Redis takes ${(1 / speedup(results, inFlight)).toFixed(2)} times as long as with ${FLEXIBLE} at ${inFlight} in flight: its answer passes through a thread of its own.`,
  );
}

function targets(results) {
  const cpu = ratio(find(results, SLUICE, 100).cpu, find(results, FLEXIBLE, 100).cpu);
  return [
    {
      what: `decisions/s, 100 in flight: sluice / ${FLEXIBLE}`,
      unit: '×',
      atLeast: 3,
      value: speedup(results, 100),
    },
    {
      what: `µs of a decision, 1 in flight: sluice / ${FLEXIBLE}`,
      unit: '×',
      atMost: 1.4,
      value: 1 / speedup(results, 1),
    },
    { what: `CPU of the process, 100 in flight: sluice / ${FLEXIBLE}`, unit: '×', atMost: 0.3, value: cpu },
  ];
}
