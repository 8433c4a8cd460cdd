// Which keys are distinct, and which keys, costs and options are rejected.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';

const { RateLimiter } = sluice;

const clock = testing.manualClock();
test.after(() => clock.restore());

const fresh = (options) => new RateLimiter(freshName(), { limit: 1, window: '1h', ...options });

/** The number of distinct keys among these. */
function countDistinct(keys) {
  const limiter = fresh();
  const distinct = keys.filter((key) => limiter.tryConsume(key)).length;
  for (const key of keys) {
    assert.equal(limiter.tryConsume(key), false, 'an equal key shares the quota');
    assert.equal(limiter.handle(key).tryConsume(), false, 'so does its handle');
  }
  return distinct;
}

test('keys that differ in one code unit are distinct, at any length', () => {
  for (const length of [1, 2, 63, 64, 65, 127, 128, 129, 254, 255, 256, 257, 511, 512, 513, 100_000]) {
    for (const unit of ['x', 'é', '€', '\ud83d']) {
      const base = unit.repeat(length - 1);
      assert.equal(countDistinct([`${base}a`, `${base}b`, `${base}\u0100`, `${base}a\0`, `${base}aa`]), 5);
      assert.equal(countDistinct([`a${base}`, `b${base}`, `\u0100${base}`]), 3);
    }
  }
});

test('keys of one megabyte are accepted and compared in full', () => {
  const megabyte = 'k'.repeat(1 << 20);
  assert.equal(countDistinct([megabyte, `${megabyte}k`, `${megabyte.slice(1)}l`, megabyte.toUpperCase()]), 4);
});

test('keys are compared by code unit: lone surrogates, NUL and normal forms differ', () => {
  const surrogates = [
    '\ud800',
    '\ud801',
    '\udc00',
    '\udc01',
    '\ufffd',
    '\ud800\udc00',
    '\udc00\ud800',
    'a\ud800',
    '\ud800a',
  ];
  assert.equal(countDistinct(surrogates), surrogates.length);
  assert.equal(countDistinct(['a', 'a\0', '\0', '\0\0', ' a', 'A', 'á', 'a\u0301', 'ａ']), 9);
  const everyUnit = Array.from({ length: 0x10000 }, (_, unit) => String.fromCharCode(unit));
  assert.equal(countDistinct(everyUnit), 0x10000);
});

test('equal strings are one key, however V8 represents them', () => {
  const limiter = fresh();
  const flat = 'some client of this server';
  assert.equal(limiter.tryConsume(flat), true);
  const joined = ['some client', 'of this server'].join(' ');
  const sliced = `>> some client of this server <<`.slice(3, -3);
  const wide = `€${flat}`.slice(1);
  for (const key of [joined, sliced, wide, `${flat.slice(0, 5)}${flat.slice(5)}`]) {
    assert.equal(limiter.tryConsume(key), false);
  }
});

const INVALID_KEYS = [
  ['', '""'],
  [undefined, 'undefined'],
  [null, 'null'],
  [7, '7'],
  [true, 'true'],
  [{}, 'an object'],
  [['a'], 'an (array|object)'],
  [Symbol('a'), 'a symbol'],
  [() => {}, 'a function'],
  [new String('a'), 'an object'],
];

const METHODS_WITH_KEY = {
  tryConsume: (limiter, key) => limiter.tryConsume(key),
  consume: (limiter, key) => limiter.consume(key),
  consumeMany: (limiter, key) => limiter.consumeMany(['a', key]),
  peek: (limiter, key) => limiter.peek(key),
  handle: (limiter, key) => limiter.handle(key),
  refund: (limiter, key) => limiter.refund(key),
  penalize: (limiter, key) => limiter.penalize(key),
  block: (limiter, key) => limiter.block(key, '1s'),
  reset: (limiter, key) => limiter.reset(key),
};

for (const [method, call] of Object.entries(METHODS_WITH_KEY)) {
  test(`${method} rejects an invalid key with its value, and changes nothing`, () => {
    const limiter = fresh();
    for (const [key, given] of INVALID_KEYS) {
      const message = new RegExp(`^(key|keys\\[1\\]) is ${given}; accepted: a non-empty string$`);
      assert.throws(() => call(limiter, key), {
        name: 'SluiceError',
        code: 'ERR_SLUICE_INVALID_KEY',
        message,
      });
    }
    const { allowed, refused, size } = limiter.stats();
    assert.deepEqual([allowed, refused, size, limiter.tryConsume('a')], [0, 0, 0, true]);
  });
}

test('consumeMany accepts only arrays without holes', () => {
  const limiter = fresh();
  for (const keys of [undefined, 'a', { 0: 'a', length: 1 }, new Set(['a'])]) {
    assert.throws(() => limiter.consumeMany(keys), { code: 'ERR_SLUICE_INVALID_KEY', message: /^keys is / });
  }
  // biome-ignore lint/suspicious/noSparseArray: a sparse array is the input under test
  const sparse = ['a', , 'b'];
  assert.throws(() => limiter.consumeMany(sparse), {
    code: 'ERR_SLUICE_INVALID_KEY',
    message: /^keys\[1\] is undefined/,
  });
  assert.equal(limiter.size, 0);
});

const METHODS_WITH_COST = {
  tryConsume: (limiter, cost) => limiter.tryConsume('a', cost),
  consume: (limiter, cost) => limiter.consume('a', cost),
  consumeMany: (limiter, cost) => limiter.consumeMany(['a', 'b'], cost),
  refund: (limiter, cost) => limiter.refund('a', cost),
  penalize: (limiter, cost) => limiter.penalize('a', cost),
  'handle.tryConsume': (limiter, cost) => limiter.handle('a').tryConsume(cost),
  'handle.consume': (limiter, cost) => limiter.handle('a').consume(cost),
};

for (const [method, call] of Object.entries(METHODS_WITH_COST)) {
  test(`${method} rejects a cost that is not a positive integer`, () => {
    const limiter = fresh({ limit: 10 });
    for (const cost of [
      0,
      -1,
      0.5,
      1.5,
      NaN,
      Infinity,
      -Infinity,
      2 ** 53,
      '1',
      null,
      true,
      {},
      Symbol('1'),
    ]) {
      const given =
        typeof cost === 'object' && cost ? 'an object' : typeof cost === 'symbol' ? 'a symbol' : String(cost);
      const message = new RegExp(`^cost is "?${given}"?; accepted: an integer from 1 to 9007199254740991$`);
      assert.throws(() => call(limiter, cost), {
        name: 'SluiceError',
        code: 'ERR_SLUICE_INVALID_COST',
        message,
      });
    }
    assert.equal(limiter.size, 0);
    call(limiter, undefined);
  });
}

test('missing, unknown and out-of-range options are rejected by name', () => {
  const invalidOptions = [
    [{}, /^RateLimiter limit is undefined; accepted: a value for it; required: limit, window$/],
    [{ limit: 1 }, /^RateLimiter window is undefined/],
    [{ limit: 0, window: 1 }, /^RateLimiter limit is 0; accepted: an integer from 1 to 9007199254740991$/],
    [{ limit: 1.5, window: 1 }, /limit is 1\.5/],
    [{ limit: '5', window: 1 }, /limit is "5"/],
    [{ limit: 2 ** 53, window: 1 }, /limit is 9007199254740992/],
    [{ limit: 1, window: 0 }, /^RateLimiter window is 0; accepted: milliseconds as an integer, or a text/],
    [{ limit: 1, window: 0.5 }, /window is 0\.5/],
    [{ limit: 1, window: '1 m' }, /window is "1 m"/],
    [{ limit: 1, window: '1w' }, /window is "1w"/],
    [{ limit: 1, window: '36526d' }, /window is "36526d"/],
    [{ limit: 1, window: '1s', burst: 0 }, /burst is 0/],
    [{ limit: 1, window: '1s', maxKeys: 0 }, /maxKeys is 0; accepted: an integer from 1 to 4294967296$/],
    [{ limit: 1, window: '1s', maxKeys: 2 ** 32 + 1 }, /maxKeys is 4294967297/],
    [{ limit: 1, window: '1s', overflow: 'drop' }, /overflow is "drop"; accepted: "evict", "deny", "allow"$/],
    [{ limit: 1, window: '1s', dryRun: 1 }, /dryRun is 1; accepted: true or false$/],
    [{ limit: 1, window: '1s', max: 1 }, /has no option "max"; accepted: limit, window, burst,/],
    [{ limit: 1, window: '1s', __proto__: null, toString: 1 }, /has no option "toString"/],
    [null, /^RateLimiter options is null; accepted: an object$/],
    [[], /options is an array/],
    ['1/s', /options is "1\/s"/],
  ];
  for (const [options, message] of invalidOptions) {
    const name = freshName();
    assert.throws(() => new RateLimiter(name, options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
    assert.throws(() => new RateLimiter(name), { code: 'ERR_SLUICE_NOT_FOUND' }, 'nothing was created');
  }
});

test('a quota is rejected when rounding changes it by more than 0.1 % or when it would overflow', () => {
  const invalid = (message) => ({ code: 'ERR_SLUICE_INVALID_OPTION', message });
  assert.throws(
    () => fresh({ limit: 3_000_000, window: '1s' }),
    invalid(/limit is 3000000 per 1000 ms.*0\.1 %$/),
  );
  assert.throws(() => fresh({ limit: 1_500_000_000, window: '1s' }), invalid(/0\.1 %$/));
  assert.throws(
    () => fresh({ limit: 1, window: '1d', burst: 20_000 }),
    invalid(/burst is 20000 .*36 years to refill$/),
  );
  assert.throws(() => fresh({ limit: 1, window: '36525d' }), invalid(/36 years/));
  assert.equal(fresh({ limit: 1_000_000_000, window: '1s' }).tryConsume('a', 1_000_000_000), true);
});

test('a scope is the process, the machine or a server', () => {
  const refused = (code) => ({
    name: 'SluiceError',
    code: `ERR_SLUICE_${code}`,
    message: /^RateLimiter scope/,
  });
  for (const scope of ['host', null, 7, { shared: 7 }])
    assert.throws(() => fresh({ scope }), refused('INVALID_OPTION'));
  assert.equal(fresh({ algorithm: 'gcra', scope: 'process' }).tryConsume('a'), true);
});
