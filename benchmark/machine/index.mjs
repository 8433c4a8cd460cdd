// The part `machine`: calls of what processes share, beside the same calls in the scope of the process. One thread; the two
// take turns within a round.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { median, NOTICEABLE, ratio, shuffled, spread } from '../statistics.mjs';
import { table } from '../table.mjs';

export const title = 'State of a machine';

const require = createRequire(import.meta.url);

const QUICK = { rounds: 9, calls: 100_000 };
const FULL = { rounds: 31, calls: 400_000 };

/** So high that no quota is spent. */
const QUOTA = { limit: 1_000_000_000, window: '1h', maxKeys: 100_000 };
const SEVERAL = {
  limits: [
    { name: 'second', limit: 1_000_000_000, window: '1h' },
    { name: 'hour', limit: 1_000_000_000, window: '2h' },
  ],
  maxKeys: 100_000,
};
const ONE = ['203.0.113.7'];
const MANY = Array.from({ length: 10_000 }, (_, n) => `203.${n >> 8}.${n & 255}.7`);
/** No failure of them bans. */
const BANS = { maxFailures: 5, findTime: '1h', banTime: '1h', maxBanTime: '1d', maxClients: 20_000 };

const NOT_HERE = '**Not measured: state of a machine**, which processes share on Linux only.';

/** Each opens an instance of a scope: `call(key)`, and what ends it. */
const limiterOf = (options, call) => (name, scope, keys) => {
  const { RateLimiter } = require('../../index.js');
  const limiter = new RateLimiter(name, { ...options, scope });
  return { call: call(limiter, limiter.handle(keys[0])), end: () => RateLimiter.destroy(name) };
};

const tracker = (name, scope) => {
  const { ConnectionTracker } = require('../../index.js');
  const tracker = new ConnectionTracker(name, { max: 100_000, maxPerClient: 100, scope });
  return { call: (key) => tracker.tryOpen(key).close(), end: () => ConnectionTracker.destroy(name) };
};

/** Of the clients every tenth is banned, and every tenth has failed. */
const reputation = (name, scope, keys) => {
  const { Reputation } = require('../../index.js');
  const reputation = new Reputation(name, { ...BANS, scope });
  for (let n = 0; n < keys.length; n += 10) reputation.ban(keys[n], { duration: '1h' });
  for (let n = 5; n < keys.length; n += 10) reputation.recordFailure(keys[n]);
  return { call: (key) => reputation.isBanned(key), end: () => Reputation.destroy(name) };
};

/** What is called, on which clients; `calls` of the usual number of calls. */
const CASES = [
  {
    what: '`tryConsume`, 1 client',
    keys: ONE,
    open: limiterOf(QUOTA, (limiter) => (key) => limiter.tryConsume(key)),
    atMost: 1.25,
  },
  {
    what: '`tryConsume`, 10 000 clients',
    keys: MANY,
    open: limiterOf(QUOTA, (limiter) => (key) => limiter.tryConsume(key)),
    atMost: 1.25,
  },
  {
    what: '`consume`, 10 000 clients',
    keys: MANY,
    open: limiterOf(QUOTA, (limiter) => (key) => limiter.consume(key)),
  },
  {
    what: '`tryConsume` of a handle',
    keys: ONE,
    open: limiterOf(QUOTA, (_limiter, handle) => () => handle.tryConsume()),
    atMost: 1.4,
  },
  {
    what: '`tryConsume` of two limits, 10 000 clients',
    keys: MANY,
    open: limiterOf(SEVERAL, (limiter) => (key) => limiter.tryConsume(key)),
  },
  { what: '`tryOpen` and `close` of a connection, 1 client', keys: ONE, open: tracker, calls: 0.1 },
  { what: '`tryOpen` and `close` of a connection, 10 000 clients', keys: MANY, open: tracker, calls: 0.1 },
  { what: '`isBanned`, 10 000 clients', keys: MANY, open: reputation },
];

export async function run({ quick }) {
  if (process.platform !== 'linux')
    return { sections: [], skipped: [NOT_HERE], losses: [], targets: [], charts: [] };
  const directory = mkdtempSync('/dev/shm/sluice-benchmark-');
  try {
    console.log('sluice: calls of what processes share');
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
function measure({ what, keys, open, atMost, calls: share = 1 }, directory, { rounds, calls }) {
  const count = Math.round(calls * share);
  const scopes = ['process', { shared: directory }].map((scope, index) => {
    const { call, end } = open(`benchmark-machine-${index}`, scope, keys);
    const loop = loopOf(`${what}, ${index}`, call, keys);
    return { run: () => timeOf(loop, count), end, ns: [] };
  });
  for (const { run: runCalls } of scopes) runCalls();
  for (let round = 0; round < rounds; round++) {
    for (const at of shuffled(scopes.length)) scopes[at].ns.push(scopes[at].run());
  }
  for (const { end } of scopes) end();
  const [ofProcess, ofMachine] = scopes.map(({ ns }) => ns);
  return { what, atMost, ofProcess, ofMachine };
}

/** A loop of its own for each call, as in a shared one the call would be megamorphic. */
function loopOf(what, call, keys) {
  const text = `// ${what}\nreturn (count) => { for (let n = 0; n < count; n++) call(keys[n % keys.length]); };`;
  return new Function('call', 'keys', text)(call, keys);
}

function timeOf(loop, count) {
  const startedAt = performance.now();
  loop(count);
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
  return `### Calls of what processes share\n\nGCRA limits with \`maxKeys\` 100 000, caps on connections, bans; one process is attached.\n\n${text}`;
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
        `${what}, where processes share it: ${value.toFixed(2)} × the same in the scope of the process.`,
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
