// sluice/rate-limiter-flexible as the memory limiter of rate-limiter-flexible 11, beside that of the package.
import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import flexible from 'rate-limiter-flexible';
import stores from '../../lib/stores/rate-limiter-flexible.js';
import { random } from '../helpers/random.cjs';
import { freshNames } from '../helpers/setup.mjs';

const { RateLimiterMemory } = stores;
const { RateLimiterRes } = flexible;
const freshName = freshNames('rlf');
const limiterOf = (options) =>
  new RateLimiterMemory({ name: freshName(), maxKeys: 1000, points: 3, duration: 1, ...options });

/** How a call ended: its result, as an object, and whether it was rejected. */
async function outcomeOf(promise) {
  const [{ status, value, reason }] = await Promise.allSettled([promise]);
  if (reason instanceof Error) throw reason;
  const result = value ?? reason;
  return { status, result: result instanceof RateLimiterRes ? plain(result) : result };
}

/** With fractional points, the package answers a block with a fraction that it does not keep. */
function plain(result) {
  return { ...result.toJSON(), consumedPoints: Math.floor(result.consumedPoints) };
}

/** Runs `body` with a clock that it moves. */
async function withClock(body) {
  mock.timers.enable({ apis: ['Date', 'setTimeout'], now: 1_700_000_000_000 });
  try {
    await body(mock.timers);
  } finally {
    mock.timers.reset();
  }
}

const KINDS = {
  plain: {},
  'points of 0': { points: 0 },
  'negative points': { points: -2 },
  'fractional points': { points: 2.5, blockDuration: 0.25 },
  'windows that never end': { duration: 0 },
  'windows that never end, with blockDuration': { duration: 0, blockDuration: 2 },
  'with blockDuration': { blockDuration: 2 },
  'with a shorter blockDuration': { blockDuration: 0.25 },
  'without a prefix': { keyPrefix: '' },
};

const CALLS = [
  (limiter, key, below) =>
    limiter.consume(key, below(4), { customDuration: [undefined, 0, 0.5, 3][below(4)] }),
  (limiter, key, below) => limiter.consume(key, below(3)),
  (limiter, key) => limiter.consume(key),
  (limiter, key, below) => limiter.penalty(key, below(3)),
  (limiter, key, below) => limiter.reward(key, below(3)),
  (limiter, key, below) => limiter.block(key, below(3) / 2),
  (limiter, key, below) => limiter.set(key, below(6), below(3) / 2),
  (limiter, key) => limiter.get(key),
  (limiter, key) => limiter.delete(key),
];

for (const [kind, options] of Object.entries(KINDS)) {
  test(`over random calls it does what the limiter of the package does: ${kind}`, () =>
    withClock(async (clock) => {
      for (let seed = 1; seed <= 20; seed++) {
        const own = limiterOf(options);
        const theirs = new flexible.RateLimiterMemory({ points: 3, duration: 1, ...options });
        const next = random(seed);
        const below = (bound) => Math.floor(next() * bound);
        for (let step = 0; step < 200; step++) {
          const key = ['ada', 'bob', 7][below(3)];
          clock.tick(below(4) === 0 ? below(400) : 0);
          const which = below(CALLS.length);
          const calls = [own, theirs].map((limiter) => CALLS[which](limiter, key, choicesOf(seed, step)));
          const [mine, expected] = await Promise.all(calls.map(outcomeOf));
          assert.deepEqual(mine, expected, `seed ${seed}, step ${step}: ${CALLS[which]}`);
        }
      }
    }));
}

/** The same choices for both limiters. */
function choicesOf(seed, step) {
  const next = random(seed * 1000 + step);
  return (bound) => Math.floor(next() * bound);
}

test('results are of the class of the package', async () => {
  const limiter = limiterOf({ points: 1, duration: 60 });
  assert.ok((await limiter.consume('a')) instanceof RateLimiterRes);
  await assert.rejects(limiter.consume('a'), (rejection) => rejection instanceof RateLimiterRes);
});

test('execEvenly delays as the limiter of the package does', () =>
  withClock(async (clock) => {
    const options = { points: 4, duration: 2, execEvenly: true };
    for (const least of [undefined, 0, 700]) {
      const both = [limiterOf(options), new flexible.RateLimiterMemory(options)];
      for (const limiter of both) limiter.execEvenlyMinDelayMs = least;
      for (let call = 0; call < 4; call++) {
        const settled = [];
        const started = Date.now();
        const ends = both.map((limiter, i) =>
          limiter.consume('a').then((res) => (settled[i] = { ...res.toJSON(), after: Date.now() - started })),
        );
        for (let ms = 0; ms < 3000 && Object.keys(settled).length < 2; ms += 50) {
          await new Promise(setImmediate);
          clock.tick(50);
        }
        await Promise.all(ends);
        assert.deepEqual(settled[0], settled[1], `least ${least}, call ${call}`);
        for (const limiter of both) if (call === 3) await limiter.delete('a');
      }
    }
  }));

describe('dump and restore', () => {
  test('as the limiter of the package', () =>
    withClock(async (clock) => {
      for (const keyPrefix of ['api', '']) {
        const own = limiterOf({ keyPrefix, keepKeys: true });
        const theirs = new flexible.RateLimiterMemory({ keyPrefix, points: 3, duration: 1 });
        for (const limiter of [own, theirs]) {
          await limiter.consume('ada', 2);
          await limiter.block(7, 0);
          await limiter.penalty('gone', 1, { customDuration: 0.1 });
        }
        clock.tick(500);
        const sorted = ({ storage, ...rest }) => ({
          ...rest,
          storage: storage.sort((a, b) => String(a.key).localeCompare(String(b.key))),
        });
        const dumped = sorted(own.dump());
        assert.deepEqual(dumped, sorted(theirs.dump()));

        const again = limiterOf({ keyPrefix });
        assert.deepEqual(again.restore(dumped), { invalid: 0, expired: 0, restored: 2 });
        assert.deepEqual((await again.get('ada')).toJSON(), (await theirs.get('ada')).toJSON());
        assert.deepEqual((await again.get(7)).toJSON(), (await theirs.get(7)).toJSON());
      }
    }));

  test('entries that are none, and those that have expired', () => {
    const entry = (given) => ({ key: 'a', value: 1, expiresAt: Date.now() + 60_000, ...given });
    const storage = [
      entry(),
      entry({ key: 'never', expiresAt: null }),
      entry({ key: 'late', expiresAt: 5 }),
      entry({ key: undefined }),
      entry({ value: Number.NaN }),
      entry({ expiresAt: 'soon' }),
      null,
      'text',
    ];
    for (const detailed of [false, true]) {
      const answers = [limiterOf(), new flexible.RateLimiterMemory({ points: 3, duration: 1 })].map(
        (limiter) =>
          [{ version: 1, storage }, { version: 1, storage: 'none' }, { version: 2, storage }, null].map(
            (data) => limiter.restore(data, detailed),
          ),
      );
      assert.deepEqual(answers[0], answers[1]);
    }
  });

  test('limiters of one counter dump their own keys', async () => {
    const name = freshName();
    const [a, b] = ['a', 'b'].map((keyPrefix) =>
      limiterOf({ name, keyPrefix, keepKeys: true, duration: 60 }),
    );
    await a.consume('ada');
    await b.consume('bob');
    assert.deepEqual(
      a.dump().storage.map(({ key }) => key),
      ['ada'],
    );
    assert.throws(() => limiterOf().dump(), { code: 'ERR_SLUICE_INVALID_OPTION' });
  });
});

describe('where the limiter of the package is at fault', () => {
  test('a window of 30 days limits', async () => {
    const limiter = limiterOf({ points: 1, duration: 30 * 86_400 });
    await limiter.consume('a');
    await new Promise((resolve) => setTimeout(resolve, 5));
    await assert.rejects(limiter.consume('a'), ({ consumedPoints }) => consumedPoints === 2);
  });

  test('a delay longer than a timer is not skipped', async (t) => {
    const limiter = limiterOf({ points: 2, duration: 90 * 86_400, execEvenly: true });
    await limiter.consume('a');
    const delays = [];
    t.mock.method(globalThis, 'setTimeout', (resolve, ms) => {
      delays.push(ms);
      resolve();
    });
    await limiter.consume('a');
    assert.deepEqual(delays, [2 ** 31 - 1]);
  });

  test('set without a duration lasts for that of the limiter', () =>
    withClock(async (clock) => {
      const limiter = limiterOf();
      assert.equal((await limiter.set('a', 3)).msBeforeNext, 1_000);
      clock.tick(999);
      assert.equal((await limiter.get('a')).msBeforeNext, 1);
      clock.tick(1);
      assert.equal(await limiter.get('a'), null);
    }));
});

test('a limit lowered while it runs holds from the next call on', async () => {
  const limiter = limiterOf({ points: 5, duration: 60 });
  await limiter.consume('a', 4);
  limiter.points = 2;
  await assert.rejects(limiter.consume('a'), ({ consumedPoints }) => consumedPoints === 5);
});

test('points and a block that change hold from the next call on', () =>
  withClock(async () => {
    const limiter = limiterOf({ points: 1, duration: 10, blockDuration: 20 });
    const blockOf = async (key) => {
      await limiter.consume(key);
      const rejection = await limiter.consume(key).then(assert.fail, (res) => res);
      return rejection.msBeforeNext;
    };
    assert.equal(await blockOf('a'), 20_000);
    limiter.blockDuration = 30;
    assert.equal(await blockOf('b'), 30_000);
    limiter.points = 2;
    await limiter.consume('c');
    assert.equal((await limiter.consume('c')).msBeforeNext, 10_000);
    limiter.points = 3;
    assert.equal(await blockOf('c'), 30_000);
    limiter.blockDuration = 0;
    await limiter.consume('d', 2);
    assert.equal(await blockOf('d'), 10_000);
  }));

describe('bad input', () => {
  test('points and durations', async () => {
    const limiter = limiterOf();
    const bad = [
      () => limiter.consume('a', 1.5),
      () => limiter.consume('a', Number.NaN),
      () => limiter.penalty('a', '2'),
      () => limiter.reward('a', 0.5),
      () => limiter.set('a', 1.5, 1),
      () => limiter.block('a'),
      () => limiter.block('a', -1),
    ];
    for (const call of bad) await assert.rejects(call(), { code: 'ERR_SLUICE_INVALID_VALUE' });
    assert.equal(await limiter.get('a'), null);
  });

  test('options', () => {
    assert.throws(() => limiterOf({ points: 2e9 }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: 'RateLimiterMemory points is 2000000000; accepted: at most 1000000000: counts go no further',
    });
    assert.throws(() => limiterOf({ maxKeys: 0 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
    assert.throws(() => limiterOf({ name: '' }), { code: 'ERR_SLUICE_INVALID_NAME' });
    assert.throws(() => new RateLimiterMemory(), /points must be set/);
    assert.throws(() => limiterOf({ keyPrefix: 5 }), /keyPrefix must be string/);
  });
});
