// ClientHub in one thread: what is kept, for how long, and what those who wait come to.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';
import { stopClock } from '../helpers/setup.mjs';

const { ClientHub } = sluice;
const clock = stopClock();

const sluiceError = (code) => ({ name: 'SluiceError', code: `ERR_SLUICE_${code}` });
const is = (expected) => (error) => error === expected;

/** A hub of which nobody waits any more when the test ends. */
function fresh(t, options) {
  const hub = new ClientHub(freshName(), options);
  t.after(() => {
    const { waiting, initialising } = hub.stats();
    assert.deepEqual({ waiting, initialising }, { waiting: 0, initialising: 0 });
  });
  return hub;
}

/** An initialiser that settles by hand: `calls` has `{ signal, resolve, reject }` of each run. */
function byHand() {
  const calls = [];
  const init = (signal) =>
    new Promise((resolve, reject) => {
      calls.push({ signal, resolve, reject });
    });
  return { calls, init };
}

const never = () => new Promise(() => {});
const unused = () => assert.fail('nobody asked for this');

test('one initialiser runs, all get its value, and it is kept', async (t) => {
  const hub = fresh(t);
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
  assert.ok(!Object.isFrozen(made), 'the maker’s own object stays as it is');
  const { hits, misses, initialisations, entries } = hub.stats();
  assert.deepEqual(
    { hits, misses, initialisations, entries },
    { hits: 2, misses: 3, initialisations: 1, entries: 1 },
  );
});

test('values that are false, empty or null are values', async (t) => {
  const hub = fresh(t);
  for (const value of [null, false, 0, '', 0n, Number.NaN, [], {}]) {
    const key = `key ${typeof value} ${value}`;
    assert.deepEqual(await hub.getOrInit(key, () => value), value);
    assert.deepEqual(hub.get(key), value);
  }
});

test('a failure fails all who waited with the very error, is not kept, and the next call tries anew', async (t) => {
  const hub = fresh(t);
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

test('an error that cannot be read fails all who waited too', async (t) => {
  const hub = fresh(t);
  const error = new Error('no');
  Object.defineProperty(error, 'code', {
    get() {
      throw new Error('nobody reads this');
    },
  });
  const all = [1, 2].map(() => hub.getOrInit('key', () => Promise.reject(error)));
  for (const call of all) await assert.rejects(call, is(error));
  await assert.rejects(
    hub.getOrInit('key', () => Promise.reject('a text')),
    is('a text'),
  );
});

test('what cannot be a value fails with its path', async (t) => {
  const hub = fresh(t);
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

test('a value is fresh for its ttl, and until it is invalidated without one', async (t) => {
  const hub = fresh(t);
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

test('a stale value is answered with at once, and refreshed once', async (t) => {
  const hub = fresh(t);
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

test('a refresh that fails is counted, and the stale value stays for its time', async (t) => {
  const hub = fresh(t);
  const times = { ttl: '1s', staleWhileRevalidate: '10s' };
  const fail = async () => {
    throw new Error('counted, and nothing else');
  };
  await hub.getOrInit('key', () => 'old', times);
  // When the next may begin: 1 s later, then 2 s, then 4 s.
  for (const [failed, pause] of ['1s', '1s', '2s'].entries()) {
    clock.advance(pause);
    assert.equal(await hub.getOrInit('key', fail, times), 'old');
    await turn();
    assert.equal(hub.stats().failures, failed + 1);
  }
  clock.advance('7s');
  await assert.rejects(hub.getOrInit('key', fail, times), { message: 'counted, and nothing else' });
});

test('who comes when the stale time is over waits for the refresh', async (t) => {
  const hub = fresh(t);
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

test('invalidated while it is made, a value is for those who came before, and not kept', async (t) => {
  const hub = fresh(t);
  const { calls, init } = byHand();
  const before = [hub.getOrInit('key', init), hub.getOrInit('key', init)];
  assert.equal(hub.invalidate('key'), true);
  const after = [hub.getOrInit('key', init), hub.getOrInit('key', init)];
  assert.equal(calls.length, 1, 'one at a time');
  calls[0].resolve('old');
  assert.deepEqual(await Promise.all(before), ['old', 'old']);
  assert.equal(hub.get('key'), undefined);
  while (calls.length < 2) await turn();
  calls[1].resolve('new');
  assert.deepEqual([...(await Promise.all(after)), hub.get('key')], ['new', 'new', 'new']);
  assert.equal(hub.stats().initialisations, 2);
});

test('an initialiser past its timeout hands over to a waiter, and its late result is ignored', async (t) => {
  const hub = fresh(t);
  const [slow, quick] = [byHand(), byHand()];
  const first = hub.getOrInit('key', slow.init, { timeout: '5s' });
  const second = hub.getOrInit('key', quick.init);
  const third = hub.getOrInit('key', unused);
  clock.advance(4999);
  await turn();
  assert.equal(slow.calls[0].signal.aborted, false);
  clock.advance(1);
  await assert.rejects(first, {
    ...sluiceError('TIMEOUT'),
    message: /initialiser of "key" took longer than 5000 ms/,
  });
  assert.equal(slow.calls[0].signal.reason.code, 'ERR_SLUICE_TIMEOUT');
  while (quick.calls.length === 0) await turn();
  slow.calls[0].resolve('late');
  await turn();
  assert.equal(hub.get('key'), undefined);
  quick.calls[0].resolve('in time');
  assert.deepEqual([await second, await third, hub.get('key')], ['in time', 'in time', 'in time']);
  const { timeouts, handovers, initialisations } = hub.stats();
  assert.deepEqual(
    { timeouts, handovers, initialisations },
    { timeouts: 1, handovers: 1, initialisations: 2 },
  );
});

test('a timeout with nobody waiting fails the caller, after 30 s by default', async (t) => {
  const hub = fresh(t);
  const call = hub.getOrInit('key', never);
  clock.advance('30s');
  await assert.rejects(call, sluiceError('TIMEOUT'));
  assert.equal(hub.stats().handovers, 0);
});

test('the time of a waiter’s initialiser counts from its own turn', async (t) => {
  const hub = fresh(t);
  const calls = [never, never, async () => 'third'].map((init) =>
    hub.getOrInit('key', init, { timeout: '1s' }),
  );
  const settled = Promise.allSettled(calls);
  for (let handovers = 1; handovers <= 2; handovers++) {
    clock.advance('1s');
    while (hub.stats().initialisations < handovers + 1) await turn();
  }
  const [first, second, third] = await settled;
  assert.deepEqual([first.reason.code, second.reason.code], ['ERR_SLUICE_TIMEOUT', 'ERR_SLUICE_TIMEOUT']);
  assert.equal(third.value, 'third');
});

test('a waiter that aborts waits no more, and nothing else changes', async (t) => {
  const hub = fresh(t);
  const { calls, init } = byHand();
  const controller = new AbortController();
  const leader = hub.getOrInit('key', init);
  const waiter = hub.getOrInit('key', unused, { signal: controller.signal });
  const reason = new Error('changed my mind');
  controller.abort(reason);
  await assert.rejects(waiter, is(reason));
  assert.deepEqual([calls[0].signal.aborted, hub.stats().waiting], [false, 0]);
  calls[0].resolve('value');
  assert.equal(await leader, 'value');
});

test('a leader that aborts ends its initialiser when nobody else waits', async (t) => {
  const hub = fresh(t);
  const { calls, init } = byHand();
  const controller = new AbortController();
  const leader = hub.getOrInit('key', init, { signal: controller.signal });
  controller.abort();
  await assert.rejects(leader, { name: 'AbortError' });
  assert.equal(calls[0].signal.reason, controller.signal.reason);
  calls[0].resolve('nobody wants it');
  await turn();
  assert.equal(hub.get('key'), undefined);
});

test('a leader that aborts goes on for those who wait', async (t) => {
  const hub = fresh(t);
  const { calls, init } = byHand();
  const controller = new AbortController();
  const leader = hub.getOrInit('key', init, { signal: controller.signal });
  const waiter = hub.getOrInit('key', unused);
  controller.abort();
  await assert.rejects(leader, { name: 'AbortError' });
  assert.equal(calls[0].signal.aborted, false);
  calls[0].resolve('value');
  assert.deepEqual([await waiter, hub.get('key')], ['value', 'value']);
});

test('an initialiser that goes on for others is aborted when the last of them leaves', async (t) => {
  const hub = fresh(t);
  const { calls, init } = byHand();
  const signals = [1, 2, 3].map(() => new AbortController());
  const all = signals.map(({ signal }) => hub.getOrInit('key', init, { signal }));
  const settled = Promise.allSettled(all);
  const [first] = signals;
  first.abort(new Error('the first'));
  signals[1].abort();
  await turn();
  assert.equal(calls[0].signal.aborted, false, 'one waits');
  signals[2].abort();
  await settled;
  await turn();
  assert.equal(calls[0].signal.reason, first.signal.reason);
  calls[0].resolve('nobody wants it');
  await turn();
  assert.equal(hub.get('key'), undefined);
});

test('a signal that has aborted is refused, and one that lives long keeps no listener', async (t) => {
  const hub = fresh(t);
  const { signal } = new AbortController();
  await hub.getOrInit('a', async () => 1, { signal });
  await assert.rejects(
    hub.getOrInit('b', async () => Promise.reject(new Error('no')), { signal }),
    { message: 'no' },
  );
  const late = [hub.getOrInit('c', never, { signal }), hub.getOrInit('c', async () => 1, { signal })];
  assert.equal(getEventListeners(signal, 'abort').length, 1, 'Node takes eleven for a leak');
  clock.advance('1m');
  await Promise.allSettled(late);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  await assert.rejects(hub.getOrInit('a', unused, { signal: AbortSignal.abort('gone') }), is('gone'));
});

test('initialisers run in the context of their callers', async (t) => {
  const hub = fresh(t);
  const storage = new AsyncLocalStorage();
  const seen = [];
  const asking = (who, init) =>
    storage.run(who, () => hub.getOrInit('key', init, { ttl: '1s', staleWhileRevalidate: '1s' }));
  const note = (what) => seen.push(`${what} for ${storage.getStore()}`);
  const first = asking('a', (signal) => {
    note('led');
    signal.addEventListener('abort', () => note('aborted'));
    return never();
  });
  const second = asking('b', async () => {
    note('took over');
    return 1;
  });
  clock.advance('30s');
  await assert.rejects(first, sluiceError('TIMEOUT'));
  await second;
  clock.advance('1s');
  await asking('c', async () => {
    note('refreshed');
    return 2;
  });
  await turn();
  assert.deepEqual(seen, ['led for a', 'aborted for a', 'took over for b', 'refreshed for c']);
});

test('at most maxEntries and maxBytes are kept; what was read goes last', async (t) => {
  const hub = fresh(t, { maxEntries: 3, maxBytes: 1000 });
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

test('ten thousand keys in a hub of a hundred leave a hundred', async (t) => {
  const hub = fresh(t, { maxEntries: 100 });
  for (let i = 0; i < 10_000; i++) assert.equal(await hub.getOrInit(`key ${i}`, () => i), i);
  const { entries, evictions } = hub.stats();
  assert.deepEqual({ entries, evictions }, { entries: 100, evictions: 9900 });
});

test('the first creates, and only options that are given are compared', () => {
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

test('destroyed, a hub ends all calls and takes no more', async () => {
  const name = freshName();
  const hub = new ClientHub(name);
  const client = hub.client('key', never);
  const { calls, init } = byHand();
  const pending = [hub.getOrInit('key', init), hub.getOrInit('key', init), client.get()];
  assert.deepEqual([ClientHub.destroy(name), ClientHub.destroy(name)], [true, false]);
  for (const call of pending) await assert.rejects(call, sluiceError('CLOSED'));
  assert.equal(calls[0].signal.reason.code, 'ERR_SLUICE_CLOSED');
  calls[0].resolve('nobody wants it');
  for (const call of [() => hub.getOrInit('key', init), () => client.get()])
    await assert.rejects(call, sluiceError('CLOSED'));
  for (const call of [() => hub.get('key'), () => hub.invalidate('key'), () => hub.stats()]) {
    assert.throws(call, sluiceError('CLOSED'));
  }
  assert.equal(await new ClientHub(name).getOrInit('key', () => 'anew'), 'anew');
});

test('mistakes are told with a code', async (t) => {
  const hub = fresh(t);
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
