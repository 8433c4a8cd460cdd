// sluice/express-rate-limit as the store of express-rate-limit 7 and 8, beside its own store.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, mock, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import express from 'express';
import * as version8 from 'express-rate-limit';
import * as version7 from 'express-rate-limit7';
import { slowDown } from 'express-slow-down';
import stores from '../../lib/stores/express-rate-limit.js';
import { ask, serve, statuses } from '../helpers/http.mjs';
import { random } from '../helpers/random.cjs';
import { freshNames } from '../helpers/setup.mjs';

const { ExpressRateLimitStore } = stores;
const freshName = freshNames('erl');
const storeOf = (options) => new ExpressRateLimitStore({ name: freshName(), maxKeys: 1000, ...options });

const PLAIN = { standardHeaders: 'draft-7', legacyHeaders: true };

for (const [version, { rateLimit }] of Object.entries({ 7: version7, 8: version8 })) {
  describe(`express-rate-limit ${version}`, () => {
    const limited = async (t, options) => {
      const limiter = rateLimit({ ...PLAIN, windowMs: 60_000, store: storeOf(), ...options });
      const app = express();
      app.use(limiter);
      app.all('/:status', (req, res) => res.status(Number(req.params.status)).send(req.rateLimit));
      return { limiter, port: await serve(t, app) };
    };

    test('limits, and sends its headers', async (t) => {
      t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
      const { port } = await limited(t, { limit: 2 });
      const first = await ask(port, { path: '/200' });
      assert.equal(first.headers.ratelimit, 'limit=2, remaining=1, reset=60');
      assert.equal(first.headers['x-ratelimit-reset'], '1700000060');
      assert.deepEqual(await statuses(3, port, { path: '/200' }), [200, 429, 429]);
      assert.deepEqual(await statuses(1, port, { path: '/200', from: '127.0.0.2' }), [200]);
    });

    test('successful requests are taken back, and the window stays', async (t) => {
      const { port, limiter } = await limited(t, { limit: 2, skipSuccessfulRequests: true });
      for (let i = 0; i < 5; i++) assert.equal((await ask(port, { path: '/200' })).status, 200);
      assert.deepEqual(await statuses(3, port, { path: '/500' }), [500, 500, 429]);
      const { totalHits } = await limiter.getKey('127.0.0.1');
      assert.equal(totalHits, 3);
      limiter.resetKey('127.0.0.1');
      assert.equal(await limiter.getKey('127.0.0.1'), undefined);
    });

    test('no validation of the limiter complains, also with several limiters', async (t) => {
      const complaints = mock.method(console, 'error', () => {});
      const warnings = mock.method(console, 'warn', () => {});
      t.after(() => mock.restoreAll());
      const app = express();
      app.use(rateLimit({ ...PLAIN, windowMs: 60_000, limit: 5, store: storeOf() }));
      app.use(rateLimit({ ...PLAIN, windowMs: 1_000, limit: 5, store: storeOf() }));
      app.get('/', (_req, res) => res.send('served'));
      const port = await serve(t, app);
      assert.deepEqual(await statuses(2, port), [200, 200]);
      assert.deepEqual([complaints.mock.calls, warnings.mock.calls], [[], []]);
    });
  });
}

test('over random calls it does what the store of the limiter does', async () => {
  mock.timers.enable({ apis: ['Date', 'setInterval'], now: 1_700_000_000_000 });
  try {
    for (let seed = 1; seed <= 20; seed++) {
      const [own, theirs] = [storeOf(), new version8.MemoryStore()];
      for (const store of [own, theirs]) store.init({ windowMs: 1_000 });
      const next = random(seed);
      const below = (bound) => Math.floor(next() * bound);
      for (let call = 0; call < 300; call++) {
        const key = `client ${below(3)}`;
        mock.timers.tick(below(5) === 0 ? below(400) : 0);
        const what = ['increment', 'increment', 'increment', 'decrement', 'get', 'resetKey'][below(6)];
        // For a key without a window the other store begins one, without a hit. The limiter takes back hits only.
        if (what === 'decrement' && own.get(key) === undefined) continue;
        // The other store keeps its record, which changes later.
        const expected = structuredClone(await theirs[what](key));
        if (expected?.resetTime <= new Date()) continue;
        assert.deepEqual(own[what](key), expected, `seed ${seed}, call ${call}: ${what}`);
      }
      theirs.shutdown();
    }
  } finally {
    mock.timers.reset();
  }
});

test('works with express-slow-down', async (t) => {
  const app = express();
  const delays = [];
  app.use(
    slowDown({
      windowMs: 60_000,
      delayAfter: 1,
      delayMs: (used) => {
        delays.push(used);
        return 1;
      },
      store: storeOf(),
    }),
  );
  app.get('/', (_req, res) => res.send('served'));
  const port = await serve(t, app);
  assert.deepEqual(await statuses(3, port), [200, 200, 200]);
  assert.deepEqual(delays, [2, 3]);
});

test('four threads share one limit', async (t) => {
  const name = freshName();
  const workers = Array.from(
    { length: 4 },
    () =>
      new Worker(new URL('../helpers/express-rate-limit-worker.mjs', import.meta.url), {
        workerData: { name },
      }),
  );
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  const ports = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
  const answers = await Promise.all(ports.flatMap((port) => Array.from({ length: 25 }, () => ask(port))));
  const count = (status) => answers.filter((answer) => answer.status === status).length;
  assert.deepEqual([count(200), count(429)], [50, 50]);
});

describe('bad input', () => {
  test('one store for two windows', () => {
    const store = storeOf();
    store.init({ windowMs: 60_000 });
    store.init({ windowMs: 60_000 });
    assert.throws(() => store.init({ windowMs: 1_000 }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message:
        'ExpressRateLimitStore windowMs is 1000; accepted: 60000, as the limiter that has this store; give each ' +
        'limiter a store of its own',
    });
  });

  test('windows', () => {
    for (const windowMs of [0, -1, Number.NaN, '1m', undefined, Number.POSITIVE_INFINITY, 2 ** 41]) {
      assert.throws(() => storeOf().init({ windowMs }), { code: 'ERR_SLUICE_INVALID_OPTION' });
    }
    const month = storeOf();
    month.init({ windowMs: 31 * 86_400_000 });
    assert.equal(month.increment('a').totalHits, 1);
    assert.equal(month.increment('a').totalHits, 2, 'over the 24.8 days of a timer');
  });

  test('a store without a limiter, unknown options, other options under one name', () => {
    assert.throws(() => storeOf().increment('a'), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: /calls init with its options/,
    });
    assert.throws(() => storeOf({ windowMs: 5 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
    const name = freshName();
    storeOf({ name });
    assert.throws(() => storeOf({ name, maxKeys: 7 }), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
  });

  test('two limiters of one window that have one store count together', () => {
    const store = storeOf();
    for (let limiter = 0; limiter < 2; limiter++) store.init({ windowMs: 60_000 });
    assert.equal(store.increment('a').totalHits, 1);
    assert.equal(store.increment('a').totalHits, 2);
  });

  test('a version of the limiter that calls incr', () => {
    assert.throws(() => storeOf().incr('a', () => {}), {
      code: 'ERR_SLUICE_UNSUPPORTED_VERSION',
      message:
        'ExpressRateLimitStore was called as incr(key, callback), as by another version of its limiter; accepted: ' +
        'express-rate-limit 7 or 8',
    });
  });

  test('a key without a text', () => {
    const store = storeOf();
    store.init({ windowMs: 60_000 });
    assert.throws(() => store.increment(Object.create(null)), { code: 'ERR_SLUICE_INVALID_KEY' });
  });

  test('keys that are no texts are keys of their own', () => {
    const store = storeOf();
    store.init({ windowMs: 60_000 });
    for (const key of ['1', 1, undefined, null, '', true]) {
      assert.equal(store.increment(key).totalHits, 1, String(key));
      assert.equal(store.increment(key).totalHits, 2, String(key));
    }
  });
});
