// sluice/fastify-rate-limit as the store of @fastify/rate-limit 11, beside its own store.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { describe, mock, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import rateLimit from '@fastify/rate-limit';
import Fastify from 'fastify';
import stores from '../../lib/stores/fastify-rate-limit.js';
import { ask } from '../helpers/http.mjs';
import { random } from '../helpers/random.cjs';
import { freshNames } from '../helpers/setup.mjs';

const LocalStore = createRequire(import.meta.url)('@fastify/rate-limit/store/LocalStore.js');
const { FastifyRateLimitStore } = stores;
const freshName = freshNames('frl');
const storeNamed = (name = freshName()) => FastifyRateLimitStore.named(name, { maxKeys: 1000 });

async function limited(t, options, routes = () => {}) {
  const app = Fastify({ forceCloseConnections: true });
  t.after(() => app.close());
  await app.register(rateLimit, { store: storeNamed(), timeWindow: 60_000, max: 2, ...options });
  app.get('/', async () => 'served');
  routes(app);
  await app.ready();
  const status = async (url = '/') => (await app.inject(url)).statusCode;
  const times = async (count, url) => {
    const all = [];
    for (let i = 0; i < count; i++) all.push(await status(url));
    return all;
  };
  return { app, times };
}

test('limits, and sends its headers', async (t) => {
  const { app, times } = await limited(t, {});
  const { headers } = await app.inject('/');
  assert.deepEqual(
    [headers['x-ratelimit-limit'], headers['x-ratelimit-remaining'], headers['x-ratelimit-reset']],
    ['2', '1', '60'],
  );
  assert.deepEqual(await times(3), [200, 429, 429]);
});

test('routes count apart, and a limiter made by hand does too', async (t) => {
  const own = { config: { rateLimit: { max: 1, timeWindow: 120_000 } } };
  const { app, times } = await limited(t, { max: 3 }, (app) => {
    app.get('/one', own, async () => 'one');
    app.get('/two', own, async () => 'two');
    app.get(
      '/hand',
      { onRequest: app.rateLimit({ max: 2 }), config: { rateLimit: false } },
      async () => 'hand',
    );
  });
  assert.deepEqual(await times(2, '/one'), [200, 429]);
  assert.deepEqual(await times(2, '/two'), [200, 429]);
  assert.deepEqual(await times(3, '/hand'), [200, 200, 429]);
  assert.deepEqual(await times(4), [200, 200, 200, 429]);
  await app.close();
});

test('routes whose pattern is too long for a name count apart', async (t) => {
  const own = { config: { rateLimit: { max: 1 } } };
  const long = `/${'x'.repeat(140)}`;
  const { times } = await limited(t, {}, (app) => {
    for (const end of ['a', 'b']) app.get(`${long}${end}`, own, async () => end);
  });
  assert.deepEqual(await times(2, `${long}a`), [200, 429]);
  assert.deepEqual(await times(1, `${long}b`), [200]);
});

for (const options of [{}, { continueExceeding: true }, { exponentialBackoff: true }]) {
  test(`a max function may block always (-1), or set no limit: ${JSON.stringify(options)}`, async (t) => {
    const max = (request) => ({ blocked: -1, free: undefined })[request.query.client];
    const keyGenerator = (request) => request.query.client;
    const { times } = await limited(t, { ...options, max, keyGenerator });
    assert.deepEqual(await times(3, '/?client=blocked'), [429, 429, 429]);
    assert.deepEqual(await times(3, '/?client=free'), [200, 200, 200]);
  });
}

test('bans after as many refusals', async (t) => {
  const { times } = await limited(t, { max: 1, ban: 2 });
  assert.deepEqual(await times(5), [200, 429, 429, 403, 403]);
});

test('a check without a hit reads the count', async (t) => {
  const seen = [];
  const { times } = await limited(t, {}, (app) => {
    const check = app.createRateLimit();
    app.get('/peek', { config: { rateLimit: false } }, async (request) => {
      seen.push(await check(request, { increment: false }));
      return 'peeked';
    });
  });
  await times(2);
  await times(2, '/peek');
  assert.deepEqual(
    seen.map(({ remaining, isExceeded }) => [remaining, isExceeded]),
    [
      [0, false],
      [0, false],
    ],
  );
});

const KINDS = {
  plain: {},
  continueExceeding: { continueExceeding: true },
};
for (const [kind, options] of Object.entries(KINDS)) {
  test(`over random calls it does what the store of the plugin does: ${kind}`, () => {
    mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
    try {
      for (let seed = 1; seed <= 20; seed++) {
        const own = new (storeNamed())(options);
        const theirs = new LocalStore(options.continueExceeding, options.exponentialBackoff);
        const next = random(seed);
        const below = (bound) => Math.floor(next() * bound);
        for (let call = 0; call < 300; call++) {
          const key = `client ${below(3)}`;
          mock.timers.tick(below(4) === 0 ? below(400) : 0);
          const what = below(4) === 0 ? 'read' : 'incr';
          const answers = [own, theirs].map((store) => answerOf(store, what, key));
          assert.deepEqual(answers[0], answers[1], `seed ${seed}, call ${call}: ${what}`);
        }
      }
    } finally {
      mock.timers.reset();
    }
  });
}

function answerOf(store, what, key) {
  let answer;
  store[what](
    key,
    (error, { current, ttl }) => {
      answer = { error, current, ttl };
    },
    1_000,
    3,
  );
  return answer;
}

test('exponentialBackoff: the window that is announced is the one that holds', () => {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  try {
    const store = new (storeNamed())({ exponentialBackoff: true });
    const ttls = Array.from({ length: 6 }, () => answerOf(store, 'incr', 'a').ttl);
    assert.deepEqual(ttls, [1_000, 1_000, 1_000, 1_000, 2_000, 4_000]);
    mock.timers.tick(3_999);
    assert.deepEqual(answerOf(store, 'read', 'a'), { error: null, current: 6, ttl: 1 });
    mock.timers.tick(1);
    assert.deepEqual(answerOf(store, 'read', 'a'), { error: null, current: 0, ttl: 0 });
  } finally {
    mock.timers.reset();
  }
});

test('four threads share one limit', async (t) => {
  const name = freshName();
  const workers = Array.from(
    { length: 4 },
    () =>
      new Worker(new URL('../helpers/fastify-rate-limit-worker.mjs', import.meta.url), {
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
  test('a window of 0 has ended with each hit, as in the plugin', () => {
    const store = new (storeNamed())({});
    let answer;
    for (let i = 0; i < 3; i++) store.incr('a', (error, hits) => (answer = { error, hits }), 0, 1);
    assert.deepEqual(answer, { error: null, hits: { current: 1, ttl: 0 } });
  });

  test('a negative window has ended too; others are errors', () => {
    const store = new (storeNamed())({});
    const hit = (window) => {
      let answer;
      store.incr('a', (error, hits) => (answer = error ?? hits), window, 1);
      return answer;
    };
    for (let i = 0; i < 2; i++) assert.deepEqual(hit(-5), { current: 1, ttl: 0 });
    for (const window of [Number.NaN, '1000', undefined, null]) {
      assert.equal(hit(window).code, 'ERR_SLUICE_INVALID_VALUE', String(window));
    }
    const month = 31 * 86_400_000;
    assert.deepEqual(hit(month), { current: 1, ttl: month });
    assert.equal(hit(month).current, 2, 'over the 24.8 days of a timer');
  });

  test('a limit that changes holds from the next call on; one of Infinity is never exceeded', (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
    const store = new (storeNamed())({ continueExceeding: true });
    const hit = (key, window, max) => {
      let answer;
      store.incr(key, (error, hits) => (answer = error ?? hits), window, max);
      return answer;
    };
    hit('a', 1_000, 5);
    assert.deepEqual(hit('a', 90_000, 1), { current: 2, ttl: 90_000 });
    hit('b', 1_000, Number.POSITIVE_INFINITY);
    const { current, ttl } = hit('b', 90_000, Number.POSITIVE_INFINITY);
    assert.deepEqual([current, ttl], [2, 1_000]);
  });

  test('a version of the plugin that passes no window', () => {
    const calls = [
      [-1, [5]],
      [-1, [5, -1]],
      [2, [5, 2]],
    ];
    for (const [ban, rest] of calls) {
      // The options that version 9 makes its stores with, as far as stores read them.
      const store = new (storeNamed())({ max: 5, timeWindow: 1_000, ban, continueExceeding: false });
      let failure;
      store.incr('a', (error) => (failure = error), ...rest);
      assert.equal(failure.code, 'ERR_SLUICE_UNSUPPORTED_VERSION');
      assert.equal(
        failure.message,
        'FastifyRateLimitStore was called as incr(key, callback, max, ban), as by another version of its limiter; ' +
          'accepted: @fastify/rate-limit 11',
      );
    }
  });

  test('one name with other options', () => {
    const name = freshName();
    new (FastifyRateLimitStore.named(name, { maxKeys: 10 }))({});
    const Other = FastifyRateLimitStore.named(name, { maxKeys: 20 });
    assert.throws(() => new Other({}), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
  });

  test('a limit that counts do not reach, with a window that continues', () => {
    const store = new (storeNamed())({ continueExceeding: true });
    let failure;
    store.incr('a', (error) => (failure = error), 1_000, 2e9);
    assert.equal(failure.code, 'ERR_SLUICE_INVALID_OPTION');
    assert.match(failure.message, /^FastifyRateLimitStore max is 2000000000; accepted: at most 1000000000/);
  });

  test('names and options', () => {
    assert.throws(() => FastifyRateLimitStore.named(''), { code: 'ERR_SLUICE_INVALID_NAME' });
    assert.throws(() => FastifyRateLimitStore.named('a', { limit: 5 }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
    });
  });
});
