// How a call of a limiter crosses to native code and back: a call that fails is never an admission, and numbers are exact
// whether they cross as integers or not.
//
// Tried: each test of a failed call fails where an answer other than a refusal counts as an admission, or where the
// handle is not left anew before the call.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';
import { freshName } from '../helpers/peer.mjs';

const require = createRequire(import.meta.url);
const { MAX_SAFE_INTEGER } = Number;
const INT32_MAX = 2 ** 31 - 1;
const NO_ANSWER = { name: 'Error', message: /^sluice: internal fault/ };

/** Functions of the binding that fail as long as `isFailing`: they return, and have done nothing. */
const FAILING = ['tryConsume', 'tryConsumeSeveral', 'consume', 'decide', 'decideByLimit', 'peek', 'hashKey'];
FAILING.push('tryConsumeHashed', 'consumeHashed', 'peekHashed');
let isFailing = false;

const binding = require('../../binding.cjs');
const failing = { ...binding };
for (const name of FAILING) {
  failing[name] = (...given) => (isFailing ? undefined : binding[name](...given));
}
require.cache[require.resolve('../../binding.cjs')].exports = failing;
const { RateLimiter } = require('../../index.js');
const { manualClock } = require('../../lib/testing.js');
const { kDecide } = require('../../lib/rate-limiter/symbols.js');
const { integers, native } = require('../../lib/runtime/native.js');

const clock = manualClock();
test.after(() => clock.restore());

const DAY = 86_400_000;
/** A limit that few are above, as each unit is to take a number of nanoseconds. */
const LARGEST = { limit: 2 ** 50, window: '10000d' };
const fresh = (options) => new RateLimiter(freshName(), options);

const CALLS = {
  'tryConsume(key)': (limiter) => limiter.tryConsume('a'),
  'tryConsume(key, cost)': (limiter) => limiter.tryConsume('a', 3),
  'consume(key)': (limiter) => limiter.consume('a'),
  'consumeMany(keys)': (limiter) => limiter.consumeMany(['a', 'b', 'c']),
  'peek(key)': (limiter) => limiter.peek('a'),
  'handle(key)': (limiter) => limiter.handle('a'),
  'handle.tryConsume()': (_, handle) => handle.tryConsume(),
  'handle.consume()': (_, handle) => handle.consume(),
  'handle.peek()': (_, handle) => handle.peek(),
  'a decision for middleware': (limiter) => limiter[kDecide]('a'),
  'a decision by another limit': (limiter) => limiter[kDecide]('a', 1, 5),
};

for (const [title, call] of Object.entries(CALLS)) {
  test(`${title} throws where native code fails without a word`, (t) => {
    t.after(() => {
      isFailing = false;
    });
    const limiter = fresh({ limit: 1000, window: '1h' });
    const handle = limiter.handle('a');
    for (const before of [call, () => limiter.tryConsume('a'), () => limiter.consume('a')]) {
      isFailing = false;
      before(limiter, handle);
      const { allowed } = limiter.stats();
      isFailing = true;
      assert.throws(() => call(limiter, handle), NO_ANSWER);
      assert.equal(limiter.stats().allowed, allowed);
    }
  });
}

test('a handle that stands for no limiter of the thread is an error, wherever in the range of an int32', () => {
  fresh({ limit: 1000, window: '1h' }).tryConsume('a');
  integers[1] = 1;
  for (const handle of [-1, -2, -3, -4, INT32_MAX, INT32_MAX + 1, 2 ** 32 - 1, 100_000]) {
    for (const call of [
      native.tryConsume,
      native.consume,
      native.peek,
      native.decide,
      native.tryConsumeHashed,
    ]) {
      integers[0] = handle;
      assert.throws(() => call('a'), /no such handle/);
      assert.equal(integers[0], handle | 0, 'no answer was left');
    }
  }
});

test('an invalid key leaves no answer', () => {
  const limiter = fresh({ limit: 1000, window: '1h' });
  limiter.tryConsume('a');
  for (const key of [undefined, null, 1, '', Symbol('a')]) {
    for (const call of [native.tryConsume, native.consume, native.peek, native.hashKey]) {
      integers[0] = 0;
      assert.throws(() => call(key), { code: 'ERR_SLUICE_INVALID_KEY' });
      assert.equal(integers[0], 0);
    }
  }
});

/** The numbers of a decision. */
const numbersOf = ({ limit, remaining, resetAfterMs, retryAfterMs }) => [
  limit,
  remaining,
  resetAfterMs,
  retryAfterMs,
];

test('limits and what is left of them are exact on both sides of 2^31, and up to the largest', () => {
  for (const limit of [INT32_MAX - 1, INT32_MAX, INT32_MAX + 1, 2 ** 32, 2 ** 40 + 1, LARGEST.limit]) {
    const limiter = fresh({ limit, window: LARGEST.window });
    const handle = limiter.handle('b');
    for (const taken of [1, 2, 3]) {
      const expected = [limit, limit - taken];
      assert.deepEqual(numbersOf(limiter.consume('a')).slice(0, 2), expected);
      assert.deepEqual(numbersOf(handle.consume()).slice(0, 2), expected);
      assert.deepEqual(numbersOf(limiter.peek('a')).slice(0, 2), expected);
      assert.deepEqual(numbersOf(limiter[kDecide]('c')).slice(0, 2), expected);
    }
  }
});

test('times are exact on both sides of 2^31 milliseconds', () => {
  for (const window of [INT32_MAX - 1, INT32_MAX, INT32_MAX + 1, 60 * DAY, 365 * DAY]) {
    const limiter = fresh({ limit: 1, window });
    assert.deepEqual(numbersOf(limiter.consume('a')), [1, 0, window, 0]);
    assert.deepEqual(numbersOf(limiter.consume('a')), [1, 0, window, window]);
    assert.deepEqual(numbersOf(limiter.handle('a').peek()), [1, 0, window, window]);
    const { allowed, moreAfterMs } = limiter[kDecide]('a');
    assert.deepEqual({ allowed, moreAfterMs }, { allowed: false, moreAfterMs: window });
    clock.advance(1);
    assert.deepEqual(numbersOf(limiter.consume('a')), [1, 0, window - 1, window - 1]);
  }
});

test('a cost that is never admitted is refused without an end, by key and by handle', () => {
  const limiter = fresh({ limit: 10, window: '1h' });
  for (const cost of [11, INT32_MAX, INT32_MAX + 1, 2 ** 32, 2 ** 32 + 1, MAX_SAFE_INTEGER]) {
    const expected = { allowed: false, remaining: 10, retryAfterMs: Number.POSITIVE_INFINITY };
    for (const decision of [limiter.consume('a', cost), limiter.handle('a').consume(cost)]) {
      const { allowed, remaining, retryAfterMs } = decision;
      assert.deepEqual({ allowed, remaining, retryAfterMs }, expected);
    }
    assert.equal(limiter.tryConsume('a', cost), false);
    assert.equal(limiter.handle('a').tryConsume(cost), false);
    assert.deepEqual(limiter.consumeMany(['a', 'b'], cost), [false, false]);
  }
  assert.equal(limiter.consume('a').remaining, 9);
});

test('costs are charged exactly on both sides of 2^31, and up to the largest limit', () => {
  const CHARGES = {
    tryConsume: (limiter, cost) => limiter.tryConsume('a', cost),
    consume: (limiter, cost) => limiter.consume('a', cost).allowed,
    consumeMany: (limiter, cost) => limiter.consumeMany(['a'], cost)[0],
    'handle.tryConsume': (limiter, cost) => limiter.handle('a').tryConsume(cost),
    'handle.consume': (limiter, cost) => limiter.handle('a').consume(cost).allowed,
  };
  for (const [title, charge] of Object.entries(CHARGES)) {
    const { limit } = LARGEST;
    for (const cost of [2, INT32_MAX, INT32_MAX + 1, 2 ** 32, 2 ** 32 + 1, limit - 1]) {
      const limiter = fresh(LARGEST);
      assert.equal(charge(limiter, cost), true, `${title} ${cost}`);
      assert.equal(limiter.peek('a').remaining, limit - cost, `${title} ${cost}`);
      assert.equal(charge(limiter, limit - cost + 1), false, `${title} ${cost}`);
      assert.equal(charge(limiter, limit - cost), true, `${title} ${cost}`);
      assert.equal(limiter.peek('a').remaining, 0, `${title} ${cost}`);
    }
  }
});

test('decisions have one shape and one order of fields, as integers or not', () => {
  const small = fresh({ limit: 10, window: '1h' }).consume('a');
  const large = fresh(LARGEST).consume('a');
  const dry = fresh({ limit: 10, window: '1h', dryRun: true }).consume('a');
  const names = ['allowed', 'limit', 'remaining', 'resetAfterMs', 'retryAfterMs', 'policy'];
  assert.deepEqual(Object.keys(small), names);
  assert.deepEqual(Object.keys(large), names);
  assert.deepEqual(Object.keys(dry), [...names, 'wouldRefuse']);
  assert.equal(dry.wouldRefuse, false);
});

test('consumeMany answers as tryConsume does for each key in order, for any number of keys', () => {
  const [many, single] = [1, 2].map(() => fresh({ limit: 3, window: '1h' }));
  const LONG = 'x'.repeat(1000);
  const keyOf = (at) => ['a', `key ${at % 7}`, `${LONG}${at % 3}`, `ключ ${at % 5}`, '\ud800'][at % 5];
  for (let count = 0; count <= 70; count++) {
    const keys = Array.from({ length: count }, (_, at) => keyOf(at * count));
    const given = [...keys];
    assert.deepEqual(
      many.consumeMany(keys),
      keys.map((key) => single.tryConsume(key)),
      `${count} keys`,
    );
    assert.deepEqual(keys, given, 'the keys that were given are left alone');
    clock.advance('10m');
  }
  assert.deepEqual(many.stats(), single.stats());
});

test('calls that are made while keys are read do not mix with the call that reads them', () => {
  const [limiter, other] = [fresh({ limit: 2, window: '1h' }), fresh({ limit: 1, window: '1h' })];
  const keys = ['a', 'b'];
  Object.defineProperty(keys, 0, { get: () => (other.consume('a', 1).allowed ? 'a' : 'b') });
  assert.deepEqual(limiter.consumeMany(keys), [true, true]);
  assert.deepEqual(limiter.consumeMany(keys), [true, false]);
  assert.deepEqual([other.stats().allowed, other.stats().refused], [1, 1]);
});

test('a decision is read before any other call, also where the options have just changed', (t) => {
  const [limiter, other] = [fresh({ limit: 5, window: '1h' }), fresh(LARGEST)];
  const { map } = Array.prototype;
  t.after(() => {
    Array.prototype.map = map;
  });
  Array.prototype.map = function (...given) {
    other.consume('a', 7);
    other.tryConsume('b');
    return map.apply(this, given);
  };
  for (const limit of [6, LARGEST.limit]) {
    limiter.reconfigure({ limit, window: LARGEST.window });
    const { limit: told, remaining, policy } = limiter.consume('a');
    const expected = { told: limit, remaining: limit - 1, policy: limiter.name };
    assert.deepEqual({ told, remaining, policy }, expected);
    limiter.clear();
  }
});
