// HitCounter: what a call counts, and which window it is in.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sluice from '../../index.js';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const { HitCounter } = sluice;

const clock = stopClock();
const freshName = freshNames('hits');
const counter = (options = { maxKeys: 1000 }) => new HitCounter(freshName(), options);

describe('add', () => {
  test('counts each hit in the window of the first', () => {
    const hits = counter();
    assert.deepEqual(hits.add('a', 1, 1_000), { count: 1, leftMs: 1_000, first: true });
    clock.advance(400);
    assert.deepEqual(hits.add('a', 2, 9_000), { count: 3, leftMs: 600, first: false });
    assert.deepEqual(hits.add('b', undefined, 50), { count: 1, leftMs: 50, first: true });
    clock.advance(600);
    assert.deepEqual(hits.add('a', 1, 2_000), { count: 1, leftMs: 2_000, first: true });
  });

  test('a count of 0 and below keeps its window', () => {
    const hits = counter();
    hits.add('a', 1, 1_000);
    clock.advance(100);
    assert.deepEqual(hits.add('a', -4, 1_000), { count: -3, leftMs: 900, first: false });
    assert.deepEqual(hits.get('a'), { count: -3, leftMs: 900 });
  });

  test('a window of Infinity never ends', () => {
    const hits = counter();
    assert.deepEqual(hits.add('a', 1, Number.POSITIVE_INFINITY), {
      count: 1,
      leftMs: Number.POSITIVE_INFINITY,
      first: true,
    });
    clock.advance('365d');
    assert.equal(hits.add('a', 1, 10).count, 2);
  });

  test('windows beyond the timers of Node.js are exact to the millisecond', () => {
    const hits = counter();
    const days = 86_400_000;
    for (const [key, windowMs] of Object.entries({ month: 30 * days, half: 180 * days })) {
      assert.equal(hits.add(key, 1, windowMs).leftMs, windowMs);
      clock.advance(windowMs - 1);
      assert.deepEqual(hits.get(key), { count: 1, leftMs: 1 });
      clock.advance(1);
      assert.equal(hits.get(key), null);
    }
  });

  test('a rule begins another window with each hit above its limit, or only with the first', () => {
    const hits = counter();
    const rule = { above: 2, windowMs: 60_000 };
    const lefts = (key, more) =>
      Array.from({ length: 4 }, () => {
        clock.advance(1);
        return hits.add(key, 1, 1_000, { ...rule, ...more }).leftMs;
      });
    assert.deepEqual(lefts('each', {}), [1_000, 999, 60_000, 60_000]);
    assert.deepEqual(lefts('once', { once: true }), [1_000, 999, 60_000, 59_999]);
    assert.deepEqual(lefts('double', { double: true }), [1_000, 999, 60_000, 120_000]);
    assert.deepEqual(hits.add('many', 5, 1_000, { ...rule, once: true }), {
      count: 5,
      leftMs: 60_000,
      first: true,
    });
  });

  test('a time of the caller decides instead of that of the process', () => {
    const hits = counter();
    const now = 1_700_000_000_000;
    assert.deepEqual(hits.add('a', 1, 1_000, undefined, now + 0.9), { count: 1, leftMs: 1_000, first: true });
    assert.equal(hits.add('a', 1, 1_000, undefined, now + 999).leftMs, 1);
    assert.equal(hits.add('a', 1, 1_000, undefined, now - 500).leftMs, 1_000, 'never more than the window');
    assert.deepEqual(hits.get('a', now + 999), { count: 3, leftMs: 1 });
    assert.equal(hits.get('a', now + 1_000), null);
  });

  test('counts beyond the range stay at its end, and are counted', () => {
    const hits = counter();
    assert.equal(hits.add('a', Number.MAX_SAFE_INTEGER, 1_000).count, 1_006_632_959);
    assert.equal(hits.add('a', 1, 1_000).count, 1_006_632_959);
    assert.equal(hits.add('b', Number.MIN_SAFE_INTEGER, 1_000).count, -67_108_863);
    assert.equal(hits.stats().saturated, 3);
  });
});

test('takeBack goes down to 0 and leaves the window', () => {
  const hits = counter();
  hits.takeBack('a');
  assert.equal(hits.get('a'), null);
  hits.add('a', 3, 1_000);
  clock.advance(10);
  hits.takeBack('a');
  assert.deepEqual(hits.get('a'), { count: 2, leftMs: 990 });
  hits.takeBack('a', 9);
  assert.deepEqual(hits.get('a'), { count: 0, leftMs: 990 });
  hits.add('a', -1, 1_000);
  hits.takeBack('a');
  assert.equal(hits.get('a').count, -1);
});

test('set, delete and clear', () => {
  const hits = counter();
  hits.add('a', 1, 10);
  assert.equal(hits.set('a', 7, 1_000), true);
  assert.deepEqual(hits.get('a'), { count: 7, leftMs: 1_000 });
  assert.deepEqual([hits.delete('a'), hits.delete('a'), hits.get('a')], [true, false, null]);
  hits.add('b', 1, 10);
  hits.add('c', 1, 10);
  assert.equal(hits.size, 2);
  hits.clear();
  assert.equal(hits.size, 0);
});

test('a full table evicts, denies or allows', () => {
  const full = (overflow) => {
    const hits = counter({ maxKeys: 1, overflow });
    const counts = Array.from({ length: 200 }, (_, key) => hits.add(`${key}`, 1, 1_000).count);
    return { counts: new Set(counts), ...hits.stats() };
  };
  const evicting = full('evict');
  assert.deepEqual([[...evicting.counts], evicting.untracked], [[1], 0]);
  assert.equal(evicting.size + evicting.liveEvictions, 200);
  const denying = full('deny');
  assert.deepEqual([...denying.counts], [1, Number.POSITIVE_INFINITY]);
  assert.equal(denying.size + denying.untracked, 200);
  const allowing = full('allow');
  assert.deepEqual([[...allowing.counts], allowing.size + allowing.untracked], [[1], 200]);
});

describe('dump and restore', () => {
  test('carry the keys whose window runs, whatever their text', () => {
    const hits = counter({ maxKeys: 100, keepKeys: true });
    const keys = ['plain', 'ünïcode', '\ud800 alone', 'x'.repeat(5_000)];
    for (const key of keys) hits.add(key, 2, 5_000);
    hits.set('set', 9, Number.POSITIVE_INFINITY);
    hits.add('over', 1, 10);
    clock.advance(1_000);
    const dumped = hits.dump().sort((a, b) => (a.key < b.key ? -1 : 1));
    assert.deepEqual(
      dumped.map(({ key }) => key),
      [...keys, 'set'].sort(),
    );
    for (const { key, count, leftMs } of dumped.filter(({ key }) => key !== 'set')) {
      assert.deepEqual([count, leftMs], [2, 4_000], key);
    }
    const other = counter({ maxKeys: 100, keepKeys: true });
    other.restore(dumped);
    assert.deepEqual(
      other.dump().sort((a, b) => (a.key < b.key ? -1 : 1)),
      dumped,
    );
  });

  test('dump needs keepKeys, and a bad entry restores nothing', () => {
    const hits = counter();
    assert.throws(() => hits.dump(), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: 'HitCounter keepKeys is false; accepted: true, for dump and restore',
    });
    const good = { key: 'a', count: 1, leftMs: 10 };
    for (const bad of [{ count: 1.5 }, { leftMs: 0 }, { key: '' }, { key: 7 }]) {
      assert.throws(() => hits.restore([good, { ...good, ...bad }]), {
        code: /^ERR_SLUICE_INVALID_(VALUE|KEY)$/,
      });
      assert.equal(hits.size, 0);
    }
  });
});

describe('bad input', () => {
  const bad = {
    'n is 0.5': ['INVALID_VALUE', (hits) => hits.add('a', 0.5, 10)],
    'n is "1"': ['INVALID_VALUE', (hits) => hits.add('a', '1', 10)],
    'n is -1': ['INVALID_VALUE', (hits) => hits.takeBack('a', -1)],
    'windowMs is 0': ['INVALID_VALUE', (hits) => hits.add('a', 1, 0)],
    'windowMs is -5': ['INVALID_VALUE', (hits) => hits.add('a', 1, -5)],
    'windowMs is NaN': ['INVALID_VALUE', (hits) => hits.add('a', 1, Number.NaN)],
    'windowMs is undefined': ['INVALID_VALUE', (hits) => hits.add('a')],
    'windowMs is "1s"': ['INVALID_VALUE', (hits) => hits.set('a', 1, '1s')],
    'count is Infinity': ['INVALID_VALUE', (hits) => hits.set('a', Number.POSITIVE_INFINITY, 10)],
    'now is -1': ['INVALID_VALUE', (hits) => hits.get('a', -1)],
    'now is 9000000000001': ['INVALID_VALUE', (hits) => hits.get('a', 9e12 + 1)],
    'now is NaN': ['INVALID_VALUE', (hits) => hits.add('a', 1, 10, undefined, Number.NaN)],
    'rule above is 2000000000': [
      'INVALID_OPTION',
      (hits) => hits.add('a', 1, 10, { above: 2e9, windowMs: 1 }),
    ],
    'rule above is undefined': ['INVALID_OPTION', (hits) => hits.add('a', 1, 10, { windowMs: 1 })],
    'rule windowMs is undefined': ['INVALID_OPTION', (hits) => hits.add('a', 1, 10, { above: 1 })],
    'rule once is 1': ['INVALID_OPTION', (hits) => hits.add('a', 1, 10, { above: 1, windowMs: 1, once: 1 })],
    'key is ""': ['INVALID_KEY', (hits) => hits.add('', 1, 10)],
    'key is 7': ['INVALID_KEY', (hits) => hits.get(7)],
    'key is undefined': ['INVALID_KEY', (hits) => hits.delete()],
  };
  for (const [what, [code, call]] of Object.entries(bad)) {
    test(`${what} is ${code}, and nothing is counted`, () => {
      const hits = counter();
      assert.throws(
        () => call(hits),
        ({ code: got, message }) => {
          assert.equal(got, `ERR_SLUICE_${code}`);
          assert.ok(message.includes(what), message);
          return /; accepted: /.test(message);
        },
      );
      assert.equal(hits.size, 0);
    });
  }

  test('options that differ, that are unknown, and a name that does not exist', () => {
    const name = freshName();
    new HitCounter(name, { maxKeys: 10 });
    new HitCounter(name, { maxKeys: 10 });
    new HitCounter(name);
    assert.throws(() => new HitCounter(name, { maxKeys: 11 }), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
    assert.throws(() => new HitCounter(name, { limit: 11 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
    assert.throws(() => new HitCounter(freshName(), { overflow: 'drop' }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
    });
    assert.throws(() => new HitCounter(freshName()), { code: 'ERR_SLUICE_NOT_FOUND' });
    assert.throws(() => new HitCounter(''), { code: 'ERR_SLUICE_INVALID_NAME' });
  });

  test('a destroyed counter is closed', () => {
    const name = freshName();
    const hits = new HitCounter(name, { maxKeys: 10 });
    assert.deepEqual([HitCounter.destroy(name), HitCounter.destroy(name)], [true, false]);
    for (const call of [() => hits.add('a', 1, 10), () => hits.get('a'), () => hits.stats()]) {
      assert.throws(call, { code: 'ERR_SLUICE_CLOSED' });
    }
  });
});

test('a rule whose getters call the counter counts what it gives', () => {
  const hits = counter();
  const rule = {
    get above() {
      hits.add('other', 5, 77);
      return 1;
    },
    windowMs: 500,
  };
  assert.deepEqual(hits.add('a', 2, 10, rule), { count: 2, leftMs: 500, first: true });
  assert.equal(hits.get('other').count % 5, 0);
});
