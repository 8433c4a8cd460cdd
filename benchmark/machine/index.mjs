// The part `machine`: calls of a limiter that processes share, beside the same calls in the scope of the process. One thread;
// the two take turns within a round.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { median, NOTICEABLE, ratio, shuffled, spread } from '../statistics.mjs';
import { table } from '../table.mjs';

export const title = 'Limits of a machine';

const require = createRequire(import.meta.url);

const QUICK = { rounds: 9, calls: 100_000 };
const FULL = { rounds: 31, calls: 400_000 };

/** So high that no quota is spent. */
const QUOTA = { limit: 1_000_000_000, window: '1h', maxKeys: 100_000 };
const ONE = ['203.0.113.7'];
const MANY = Array.from({ length: 10_000 }, (_, n) => `203.${n >> 8}.${n & 255}.7`);

const NOT_HERE = '**Not measured: limits of a machine**, which processes share on Linux only.';

/** What is called, on which clients: `call(limiter, key, handle)`. */
const CASES = [
  {
    what: '`tryConsume`, 1 client',
    keys: ONE,
    call: (limiter, key) => limiter.tryConsume(key),
    atMost: 1.25,
  },
  {
    what: '`tryConsume`, 10 000 clients',
    keys: MANY,
    call: (limiter, key) => limiter.tryConsume(key),
    atMost: 1.25,
  },
  { what: '`consume`, 10 000 clients', keys: MANY, call: (limiter, key) => limiter.consume(key) },
  {
    what: '`tryConsume` of a handle',
    keys: ONE,
    call: (_limiter, _key, handle) => handle.tryConsume(),
    atMost: 1.4,
  },
];

export async function run({ quick }) {
  if (process.platform !== 'linux')
    return { sections: [], skipped: [NOT_HERE], losses: [], targets: [], charts: [] };
  const directory = mkdtempSync('/dev/shm/sluice-benchmark-');
  try {
    console.log('sluice: calls of a limiter that processes share');
    const results = CASES.map((one) => measure(one, directory, quick ? QUICK : FULL));
    return {
      sections: [section(results)],
      skipped: [],
      losses: losses(results),
      targets: targets(results),
      charts: [],
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Nanoseconds of a call by round, in either scope. */
function measure({ what, keys, call, atMost }, directory, { rounds, calls }) {
  const { RateLimiter } = require('../../index.js');
  const scopes = ['process', { shared: directory }].map((scope, index) => {
    const limiter = new RateLimiter(`benchmark-machine-${index}`, { ...QUOTA, scope });
    const handle = limiter.handle(keys[0]);
    return { run: (count) => callMany(call, { limiter, handle, keys }, count), ns: [] };
  });
  for (const { run: runCalls } of scopes) runCalls(calls);
  for (let round = 0; round < rounds; round++) {
    for (const at of shuffled(scopes.length)) scopes[at].ns.push(scopes[at].run(calls));
  }
  for (const index of scopes.keys()) RateLimiter.destroy(`benchmark-machine-${index}`);
  const [ofProcess, ofMachine] = scopes.map(({ ns }) => ns);
  return { what, atMost, ofProcess, ofMachine };
}

function callMany(call, { limiter, handle, keys }, count) {
  const startedAt = performance.now();
  for (let n = 0; n < count; n++) call(limiter, keys[n % keys.length], handle);
  return ((performance.now() - startedAt) * 1e6) / count;
}

function section(results) {
  const rows = results.map(({ what, ofProcess, ofMachine }) => [
    what,
    median(ofProcess).toFixed(1),
    median(ofMachine).toFixed(1),
    `${(100 * spread(ofMachine)).toFixed(0)} %`,
    ratio(ofMachine, ofProcess).toFixed(2),
  ]);
  const text = table(['', 'process, ns', 'machine, ns', '±', 'machine / process'], rows);
  return `### Calls of a limiter that processes share\n\nOne GCRA limit, \`maxKeys\` 100 000, one process is attached.\n\n${text}`;
}

function losses(results) {
  const times = results.map(({ what, ofProcess, ofMachine }) => ({
    what,
    value: ratio(ofMachine, ofProcess),
  }));
  return times
    .filter(({ value }) => value > NOTICEABLE)
    .map(
      ({ what, value }) =>
        `${what}, of a limiter that processes share: ${value.toFixed(2)} × one of the process.`,
    );
}

function targets(results) {
  const wanted = results.filter(({ atMost }) => atMost !== undefined);
  return wanted.map(({ what, atMost, ofProcess, ofMachine }) => ({
    what: `ns of ${what}: machine / process`,
    unit: '×',
    atMost,
    value: ratio(ofMachine, ofProcess),
  }));
}
