// sluice/nestjs-throttler as the storage of @nestjs/throttler 6, beside its own storage.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, mock, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import throttler from '@nestjs/throttler';
import stores from '../../lib/stores/nestjs-throttler.js';
import { ask, statuses } from '../helpers/http.mjs';
import { nestApp } from '../helpers/nest-app.mjs';
import { random } from '../helpers/random.cjs';
import { freshNames } from '../helpers/setup.mjs';

const { SluiceThrottlerStorage, ThrottlerStorage } = stores;
const freshName = freshNames('nest');
const storageOf = (options) => new ThrottlerStorage({ name: freshName(), maxKeys: 1000, ...options });

for (const Adapter of [ExpressAdapter, FastifyAdapter]) {
  describe(`an application over ${Adapter.name}`, () => {
    const started = async (t, options) => {
      const { app, port } = await nestApp({ storage: storageOf(), ...options }, new Adapter());
      t.after(() => app.close());
      return port;
    };

    test('limits each route, and sends its headers', async (t) => {
      t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
      const port = await started(t, { throttlers: [{ ttl: 60_000, limit: 2, blockDuration: 600_000 }] });
      const { headers } = await ask(port, { path: '/page' });
      assert.deepEqual(
        ['limit', 'remaining', 'reset'].map((part) => headers[`x-ratelimit-${part}`]),
        ['2', '1', '60'],
      );
      assert.deepEqual(await statuses(3, port, { path: '/page' }), [200, 429, 429]);
      assert.equal((await ask(port, { path: '/page' })).headers['retry-after'], '600');
      assert.deepEqual(await statuses(3, port, { path: '/other' }), [200, 200, 429]);
      assert.deepEqual(await statuses(4, port, { path: '/free' }), [200, 200, 200, 200]);
      assert.deepEqual(await statuses(1, port, { path: '/page', from: '127.0.0.2' }), [200]);
    });

    test('several throttlers', async (t) => {
      const port = await started(t, {
        throttlers: [
          { name: 'short', ttl: 60_000, limit: 3 },
          { name: 'long', ttl: 3_600_000, limit: 2 },
        ],
      });
      assert.deepEqual(await statuses(3, port, { path: '/page' }), [200, 200, 429]);
      const { headers } = await ask(port, { path: '/page' });
      assert.equal(headers['retry-after-short'], '60');
    });
  });
}

/** Runs `body` with a clock that it moves. */
async function withClock(body) {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  try {
    await body(mock.timers);
  } finally {
    mock.timers.reset();
  }
}

// Where all hits of the other storage expire together, its log is a window.
for (const blockDuration of [0, 500, 1_000, 3_700]) {
  test(`over random calls it does what the storage of the module does: blocked for ${blockDuration} ms`, () =>
    withClock(async (clock) => {
      for (let seed = 1; seed <= 20; seed++) {
        const [own, theirs] = [storageOf(), new throttler.ThrottlerStorageService()];
        const next = random(seed);
        const below = (bound) => Math.floor(next() * bound);
        for (let call = 0; call < 300; call++) {
          clock.tick(below(8) === 0 ? 1_000 + below(1_000) : 0);
          const [key, name, limit] = [`client ${below(2)}`, 'default', 4];
          const [mine, expected] = await Promise.all(
            [own, theirs].map((storage) => storage.increment(key, 1_000, limit, blockDuration, name)),
          );
          assert.deepEqual(told(mine, limit), told(expected, limit), `seed ${seed}, call ${call}`);
          assert.equal(mine.totalHits, mine.isBlocked ? limit + 1 : expected.totalHits);
        }
        theirs.onApplicationShutdown();
      }
    }));
}

/** What the guard reads of an answer. */
function told({ totalHits, timeToExpire, isBlocked, timeToBlockExpire }) {
  return isBlocked ? { isBlocked, timeToBlockExpire } : { isBlocked, totalHits, timeToExpire };
}

test('hits of a window end together', () =>
  withClock(async (clock) => {
    const storage = storageOf();
    const hit = () => storage.increment('a', 1_000, 2, 0, 'default');
    await hit();
    clock.tick(999);
    assert.deepEqual(await hit(), { totalHits: 2, timeToExpire: 1, isBlocked: false, timeToBlockExpire: 0 });
    assert.deepEqual(await hit(), { totalHits: 3, timeToExpire: 1, isBlocked: true, timeToBlockExpire: 1 });
    clock.tick(1);
    assert.deepEqual(await hit(), { totalHits: 1, timeToExpire: 1, isBlocked: false, timeToBlockExpire: 0 });
  }));

test('throttlers of one key count apart', async () => {
  const storage = storageOf();
  for (const name of ['short', 'long']) {
    assert.equal((await storage.increment('a', 60_000, 1, 0, name)).totalHits, 1);
    assert.equal((await storage.increment('a', 60_000, 1, 0, name)).isBlocked, true);
  }
});

test('keys that are no strings', async () => {
  const storage = storageOf();
  const hit = (key) => storage.increment(key, 60_000, 1, 0, 'default');
  for (const key of [Symbol('a'), 7, { toString: () => 'an object' }]) {
    assert.equal((await hit(key)).totalHits, 1);
    assert.equal((await hit(key)).isBlocked, true);
  }
  await assert.rejects(hit(Object.create(null)), { code: 'ERR_SLUICE_INVALID_KEY' });
});

test('a limit and a block that change hold from the next call on', async () => {
  const storage = storageOf();
  const hits = async (key, limit, block, count = limit + 1) => {
    for (let i = 1; i < count; i++) await storage.increment(key, 60_000, limit, block, 'default');
    return storage.increment(key, 60_000, limit, block, 'default');
  };
  assert.equal((await hits('a', 1, 600_000)).timeToBlockExpire, 600);
  assert.equal((await hits('b', 1, 900_000)).timeToBlockExpire, 900);
  assert.equal((await hits('c', 2, 900_000)).timeToBlockExpire, 900);
  assert.equal((await hits('c', 9, 900_000, 1)).isBlocked, false);
});

test('limits and windows at their ends', async () => {
  const storage = storageOf();
  const hit = (ttl, limit, block = 0) =>
    storage.increment(`${ttl} ${limit} ${block}`, ttl, limit, block, 'a');
  assert.equal((await hit(60_000, 0)).isBlocked, true);
  assert.equal((await hit(60_000, Number.POSITIVE_INFINITY, 60_000)).isBlocked, false);
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(await hit(0, 1), {
      totalHits: 1,
      timeToExpire: 0,
      isBlocked: false,
      timeToBlockExpire: 0,
    });
  }
  await hit(60_000, 1.5, 600_000);
  assert.deepEqual(await hit(60_000, 1.5, 600_000), {
    totalHits: 2,
    timeToExpire: 600,
    isBlocked: true,
    timeToBlockExpire: 600,
  });
});

test('four threads share one limit', async (t) => {
  const url = new URL('../helpers/nestjs-throttler-worker.mjs', import.meta.url);
  const name = freshName();
  const workers = Array.from({ length: 4 }, () => new Worker(url, { workerData: { name } }));
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  const ports = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
  const requests = ports.flatMap((port) => Array.from({ length: 25 }, () => ask(port, { path: '/page' })));
  const answers = await Promise.all(requests);
  const count = (status) => answers.filter((answer) => answer.status === status).length;
  assert.deepEqual([count(200), count(429)], [50, 50]);
});

test('windows that are none', async () => {
  const storage = storageOf();
  const hit = (ttl) => storage.increment('a', ttl, 1, 0, 'default');
  for (let i = 0; i < 2; i++) assert.equal((await hit(-5)).totalHits, 1);
  for (const ttl of [Number.NaN, '60', undefined]) {
    await assert.rejects(hit(ttl), { code: 'ERR_SLUICE_INVALID_VALUE' }, String(ttl));
  }
  await assert.rejects(storage.increment('a', 1_000, 1, Number.NaN, 'default'), {
    code: 'ERR_SLUICE_INVALID_OPTION',
  });
  const month = 31 * 86_400_000;
  assert.equal((await hit(month)).timeToExpire, month / 1000);
  assert.equal((await hit(month)).isBlocked, true, 'over the 24.8 days of a timer');
});

test('a version of the module that passes no limit', async () => {
  await assert.rejects(storageOf().increment('a', 60_000), {
    code: 'ERR_SLUICE_UNSUPPORTED_VERSION',
    message:
      'ThrottlerStorage was called as increment(key, ttl), as by another version of its limiter; accepted: ' +
      '@nestjs/throttler 6',
  });
});

test('names and options', async () => {
  const name = freshName();
  storageOf({ name });
  assert.throws(() => storageOf({ name, maxKeys: 7 }), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
  assert.equal(SluiceThrottlerStorage, ThrottlerStorage);
  assert.throws(() => storageOf({ name: '' }), { code: 'ERR_SLUICE_INVALID_NAME' });
  assert.throws(() => storageOf({ limit: 5 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
  await assert.rejects(storageOf().increment('a', 1_000, 2e9, 0, 'default'), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: 'ThrottlerStorage limit is 2000000000; accepted: at most 1000000000: counts go no further',
  });
});
