// ClientHub in one thread: values, how long they are kept, and options.
// Timeouts, aborts and leaders are in in-flight.test.mjs, failures in failures.test.mjs, threads in threads.test.mjs.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';
import { stopClock } from '../helpers/setup.mjs';
import { byHand, freshHub, is, never, sluiceError, unused } from './setup.mjs';

const { ClientHub } = sluice;
const clock = stopClock();

test('concurrent calls share one initialiser; its value is frozen and kept', async (t) => {
  const hub = freshHub(t);
  const { calls, init } = byHand();
  const all = Promise.all([1, 2, 3].map(() => hub.getOrInit('key', init)));
  assert.equal(hub.get('key'), undefined);
  assert.deepEqual([calls.length, hub.stats().waiting, hub.stats().initialising], [1, 2, 1]);
  const made = { list: [1, 'two', { three: 3n }], nothing: null, yes: true };
  calls[0].resolve(made);
  const [value, ...others] = await all;
  assert.deepEqual(value, made);
  for (const other of [...others, hub.get('key'), await hub.getOrInit('key', unused)]) {
    assert.equal(other, value);
  }
  assert.ok(Object.isFrozen(value) && Object.isFrozen(value.list) && Object.isFrozen(value.list[2]));
  assert.ok(!Object.isFrozen(made), 'the object that the initialiser returned is not frozen');
  const { hits, misses, initialisations, entries } = hub.stats();
  assert.deepEqual(
    { hits, misses, initialisations, entries },
    { hits: 2, misses: 3, initialisations: 1, entries: 1 },
  );
});

test('falsy and empty values are kept like any other', async (t) => {
  const hub = freshHub(t);
  for (const value of [null, false, 0, '', 0n, Number.NaN, [], {}]) {
    const key = `key ${typeof value} ${value}`;
    assert.deepEqual(await hub.getOrInit(key, () => value), value);
    assert.deepEqual(hub.get(key), value);
  }
});

test('a failure rejects all pending calls with the same error object; the next call runs its initialiser', async (t) => {
  const hub = freshHub(t);
  const { calls, init } = byHand();
  const error = new TypeError('down');
  const all = [1, 2, 3].map(() => hub.getOrInit('key', init));
  calls[0].reject(error);
  for (const call of all) await assert.rejects(call, is(error));
  const thrown = () => {
    throw error;
  };
  await assert.rejects(hub.getOrInit('key', thrown), is(error));
  assert.equal(await hub.getOrInit('key', () => 'up'), 'up');
  assert.equal(hub.stats().failures, 2);
});

test('an error with a throwing getter, or a value that is not an error, rejects all pending calls unchanged', async (t) => {
  const hub = freshHub(t);
  const error = new Error('no');
  Object.defineProperty(error, 'code', {
    get() {
      throw new Error('the getter ran');
    },
  });
  const all = [1, 2].map(() => hub.getOrInit('key', () => Promise.reject(error)));
  for (const call of all) await assert.rejects(call, is(error));
  await assert.rejects(
    hub.getOrInit('key', () => Promise.reject('a text')),
    is('a text'),
  );
});

test('an unsupported value rejects with its path', async (t) => {
  const hub = freshHub(t);
  const cycle = {};
  cycle.self = cycle;
  const mistakes = [
    [undefined, /^value of "key" is undefined; accepted: null, booleans/],
    [{ a: [1, undefined] }, /^value of "key"\.a\[1\] is undefined/],
    [{ at: new Date() }, /^value of "key"\.at is a Date/],
    [() => {}, /is a function/],
    [cycle, /\.self is a cycle/],
  ];
  for (const [value, message] of mistakes) {
    const both = [hub.getOrInit('key', async () => value), hub.getOrInit('key', unused)];
    for (const call of both) await assert.rejects(call, { ...sluiceError('INVALID_VALUE'), message });
    assert.equal(hub.get('key'), undefined);
  }
});

test('a value is fresh for its ttl, or until it is invalidated if it has none', async (t) => {
  const hub = freshHub(t);
  let made = 0;
  const make = () => ++made;
  assert.equal(await hub.getOrInit('key', make, { ttl: '1s' }), 1);
  assert.equal(await hub.getOrInit('for ever', make), 2);
  clock.advance(999);
  assert.deepEqual([await hub.getOrInit('key', make), hub.get('key')], [1, 1]);
  clock.advance(1);
  assert.equal(hub.get('key'), undefined);
  assert.equal(await hub.getOrInit('key', make), 3);
  clock.advance('365d');
  assert.deepEqual([hub.get('for ever'), hub.get('key'), hub.stats().expired], [2, 3, 1]);
  assert.deepEqual([hub.invalidate('key'), hub.invalidate('key')], [true, false]);
  assert.equal(hub.get('key'), undefined);
});

test('a stale value is returned at once and refreshed once', async (t) => {
  const hub = freshHub(t);
  const times = { ttl: '1s', staleWhileRevalidate: '1s' };
  const { calls, init } = byHand();
  await hub.getOrInit('key', () => 'old', times);
  clock.advance('1s');
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => hub.getOrInit('key', init, times))), [
    'old',
    'old',
    'old',
  ]);
  assert.deepEqual([calls.length, hub.get('key')], [1, undefined]);
  calls[0].resolve('new');
  await turn();
  assert.deepEqual([hub.get('key'), hub.stats().stale, hub.stats().initialisations], ['new', 3, 2]);
});

test('a failed refresh is counted and leaves the stale value for staleWhileRevalidate', async (t) => {
  const hub = freshHub(t);
  const times = { ttl: '1s', staleWhileRevalidate: '10s' };
  const fail = async () => {
    throw new Error('refresh failed');
  };
  await hub.getOrInit('key', () => 'old', times);
  // The back-off before the next refresh is 1 s, then 2 s, then 4 s.
  for (const [failed, pause] of ['1s', '1s', '2s'].entries()) {
    clock.advance(pause);
    assert.equal(await hub.getOrInit('key', fail, times), 'old');
    await turn();
    assert.equal(hub.stats().failures, failed + 1);
  }
  clock.advance('7s');
  await assert.rejects(hub.getOrInit('key', fail, times), { message: 'refresh failed' });
});

test('a call after the stale time is over waits for the running refresh', async (t) => {
  const hub = freshHub(t);
  const times = { ttl: '1s', staleWhileRevalidate: '1s' };
  const { calls, init } = byHand();
  await hub.getOrInit('key', () => 'old', times);
  clock.advance(1999);
  assert.equal(await hub.getOrInit('key', init, times), 'old');
  clock.advance(1);
  const waiting = hub.getOrInit('key', unused);
  calls[0].resolve('new');
  assert.equal(await waiting, 'new');
});

test('at most maxEntries and maxBytes are kept; recently read values are evicted last', async (t) => {
  const hub = freshHub(t, { maxEntries: 3, maxBytes: 1000 });
  for (const key of ['a', 'b', 'c']) await hub.getOrInit(key, () => key);
  hub.get('a');
  await hub.getOrInit('d', () => 'd');
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((key) => hub.get(key)),
    ['a', undefined, 'c', 'd'],
  );
  assert.deepEqual([hub.stats().entries, hub.stats().evictions], [3, 1]);

  const large = 'x'.repeat(900);
  await hub.getOrInit('large', () => large);
  assert.ok(hub.stats().bytes <= 1000 && hub.get('large') === large);

  const tooLarge = 'x'.repeat(1001);
  assert.equal(await hub.getOrInit('too large', () => tooLarge), tooLarge);
  assert.deepEqual([hub.get('too large'), hub.stats().tooLarge], [undefined, 1]);
});

test('of 10 000 keys a hub with maxEntries 100 keeps 100', async (t) => {
  const hub = freshHub(t, { maxEntries: 100 });
  for (let i = 0; i < 10_000; i++) assert.equal(await hub.getOrInit(`key ${i}`, () => i), i);
  const { entries, evictions } = hub.stats();
  assert.deepEqual({ entries, evictions }, { entries: 100, evictions: 9900 });
});

test('the first construction creates the hub; later ones compare only the options given', () => {
  const name = freshName();
  const hub = new ClientHub(name, { maxEntries: 5 });
  for (const options of [undefined, {}, { maxEntries: 5 }])
    assert.equal(new ClientHub(name, options).name, name);
  assert.throws(() => new ClientHub(name, { maxEntries: 6 }), {
    ...sluiceError('CONFIG_MISMATCH'),
    message: /maxEntries = 5; given: 6/,
  });
  assert.throws(() => new ClientHub(name, { maxBytes: 6 }), {
    ...sluiceError('CONFIG_MISMATCH'),
    message: /maxBytes = none/,
  });
  assert.equal(hub.stats().entries, 0);
});

test('after destroy() all pending and later calls reject with CLOSED', async () => {
  const name = freshName();
  const hub = new ClientHub(name);
  const client = hub.client('key', never);
  const { calls, init } = byHand();
  const pending = [hub.getOrInit('key', init), hub.getOrInit('key', init), client.get()];
  assert.deepEqual([ClientHub.destroy(name), ClientHub.destroy(name)], [true, false]);
  for (const call of pending) await assert.rejects(call, sluiceError('CLOSED'));
  assert.equal(calls[0].signal.reason.code, 'ERR_SLUICE_CLOSED');
  calls[0].resolve('ignored');
  for (const call of [() => hub.getOrInit('key', init), () => client.get()])
    await assert.rejects(call, sluiceError('CLOSED'));
  for (const call of [() => hub.get('key'), () => hub.invalidate('key'), () => hub.stats()]) {
    assert.throws(call, sluiceError('CLOSED'));
  }
  assert.equal(await new ClientHub(name).getOrInit('key', () => 'anew'), 'anew');
});

test('invalid arguments are errors with a code', async (t) => {
  const hub = freshHub(t);
  for (const name of ['', 7, 'x'.repeat(129)])
    assert.throws(() => new ClientHub(name), sluiceError('INVALID_NAME'));
  for (const options of [
    { maxEntries: 0 },
    { maxBytes: 1.5 },
    { max: 1 },
    null,
    'all',
    { maxEntries: '5' },
  ]) {
    assert.throws(() => new ClientHub(freshName(), options), sluiceError('INVALID_OPTION'));
  }
  for (const key of ['', 7, undefined, 'lone \ud800']) {
    await assert.rejects(hub.getOrInit(key, never), sluiceError('INVALID_KEY'));
    for (const call of [() => hub.get(key), () => hub.invalidate(key), () => hub.client(key, never)]) {
      assert.throws(call, sluiceError('INVALID_KEY'));
    }
  }
  const mistakes = [
    { ttl: 0 },
    { ttl: '1 s' },
    { timeout: 0 },
    { staleWhileRevalidate: -1 },
    { signal: {} },
    { tll: 1 },
    null,
  ];
  for (const options of mistakes) {
    await assert.rejects(hub.getOrInit('key', never, options), sluiceError('INVALID_OPTION'));
    assert.throws(() => hub.client('key', never, options), sluiceError('INVALID_OPTION'));
  }
  assert.throws(() => hub.client('key', never, { revive: 1 }), sluiceError('INVALID_OPTION'));
  await assert.rejects(hub.getOrInit('key', 'value'), {
    ...sluiceError('INVALID_OPTION'),
    message: /accepted: a function/,
  });
  assert.equal(hub.stats().misses, 0);
});
