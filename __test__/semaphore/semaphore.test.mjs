// Semaphore in one thread: permits by key, one line in the order of arrival, and every way in which a wait ends.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';

const { Semaphore } = sluice;

const open = (permits, options) => new Semaphore(freshName(), { permits, ...options });
const code = (name) => ({ name: 'SluiceError', code: `ERR_SLUICE_${name}` });
const turn = () => new Promise(setImmediate);

/** What a promise has come to by now. */
async function stateOf(promise) {
  return Promise.race([promise.then(() => 'resolved', String), turn().then(() => 'pending')]);
}

test('no more permits of a key are held than there are, and each key has its own', () => {
  const semaphore = open(2);
  const held = [semaphore.tryAcquire(), semaphore.tryAcquire()];
  assert.equal(semaphore.tryAcquire(), null);
  assert.notEqual(semaphore.tryAcquire({ key: 'a', permits: 2 }), null);
  assert.equal(semaphore.tryAcquire({ key: 'a' }), null);
  held[0].release();
  assert.notEqual(semaphore.tryAcquire(), null);
  const { perThread, ...stats } = semaphore.stats();
  const counts = { permits: 2, held: 4, waiting: 0, keys: 2, acquired: 4, refused: 2, takenBack: 0 };
  assert.deepEqual(stats, counts);
  assert.deepEqual(Object.values(perThread), [4]);
});

test('release returns permits once, and Symbol.dispose is a release', () => {
  const semaphore = open(1);
  const first = semaphore.tryAcquire();
  first.release();
  const second = semaphore.tryAcquire();
  first.release();
  first[Symbol.dispose]();
  assert.equal(semaphore.tryAcquire(), null);
  second[Symbol.dispose]();
  assert.equal(semaphore.stats().held, 0);
});

test('calls are served in the order of their arrival, whatever they ask for', async () => {
  const semaphore = open(3);
  const held = [semaphore.tryAcquire({ permits: 2 }), semaphore.tryAcquire()];
  const order = [];
  const waits = [3, 1, 1].map(async (permits, index) => {
    const permit = await semaphore.acquire({ permits });
    order.push(index);
    return permit;
  });
  held[0].release();
  assert.equal(await stateOf(waits[1]), 'pending', 'the first asks for three, two are free');
  assert.equal(semaphore.tryAcquire(), null, 'others wait');
  held[1].release();
  (await waits[0]).release();
  await Promise.all(waits);
  assert.deepEqual(order, [0, 1, 2]);
  assert.equal(semaphore.stats().held, 2);
});

test('three thousand calls in one line are served one by one, in order', async () => {
  const semaphore = open(1);
  let running = 0;
  const order = [];
  const all = Array.from({ length: 3000 }, (_, index) =>
    semaphore.run(async () => {
      running += 1;
      assert.equal(running, 1);
      await null;
      order.push(index);
      running -= 1;
    }),
  );
  await Promise.all(all);
  assert.deepEqual(
    order,
    all.map((_, index) => index),
  );
  const { held, waiting, keys, acquired } = semaphore.stats();
  assert.deepEqual([held, waiting, keys, acquired], [0, 0, 0, 3000]);
});

test('one release of several permits serves several calls', async () => {
  const semaphore = open(5);
  const held = semaphore.tryAcquire({ permits: 5 });
  const waits = Array.from({ length: 7 }, () => semaphore.acquire());
  held.release();
  await Promise.all(waits.slice(0, 5));
  assert.equal(await stateOf(waits[5]), 'pending');
  (await waits[0]).release();
  (await waits[1]).release();
  await Promise.all(waits);
  assert.equal(semaphore.stats().waiting, 0);
});

test('run returns the result, passes errors on after the release, and hands the signal over', async () => {
  const semaphore = open(1);
  assert.equal(await semaphore.run(() => 7), 7);
  assert.equal(await semaphore.run(async () => 'soon'), 'soon');
  const failure = new Error('from the function');
  await assert.rejects(
    semaphore.run(() => {
      throw failure;
    }),
    (error) => error === failure,
  );
  assert.equal(semaphore.stats().held, 0);
  const controller = new AbortController();
  const signal = await semaphore.run((given) => given, { signal: controller.signal });
  assert.equal(signal, controller.signal);
  assert.equal((await semaphore.run((given) => given)).aborted, false);
  const storage = new AsyncLocalStorage();
  const held = semaphore.tryAcquire();
  const inContext = storage.run('caller', () => semaphore.run(() => storage.getStore()));
  held.release();
  assert.equal(await inContext, 'caller');
});

test('a wait ends with its timeout, by the clock of the tests, and charges nothing', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const semaphore = open(1);
  const held = semaphore.tryAcquire();
  const [short, long, endless] = ['10s', '1m', Number.POSITIVE_INFINITY].map((timeout) =>
    semaphore.acquire({ timeout }),
  );
  const rejected = assert.rejects(short, {
    ...code('TIMEOUT'),
    message: /no permit was free within 10000 ms$/,
  });
  clock.advance('10s');
  await rejected;
  assert.deepEqual([await stateOf(long), semaphore.stats().refused], ['pending', 1]);
  held.release();
  (await long).release();
  clock.advance('1d');
  (await endless).release();
  assert.deepEqual([semaphore.stats().held, semaphore.stats().waiting], [0, 0]);
});

test('a mutex that is acquired within its own run times out', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const mutex = open(1);
  const outer = mutex.run(() => {
    const inner = mutex.acquire({ timeout: '5s' });
    clock.advance('5s');
    return inner;
  });
  await assert.rejects(outer, code('TIMEOUT'));
  assert.equal(mutex.stats().held, 0);
});

test('an aborted wait rejects with the reason and leaves its place to those behind', async () => {
  const semaphore = open(2);
  const held = semaphore.tryAcquire();
  const controller = new AbortController();
  const large = semaphore.acquire({ permits: 2, signal: controller.signal });
  const small = semaphore.acquire();
  assert.equal(await stateOf(small), 'pending');
  const reason = new Error('no longer needed');
  controller.abort(reason);
  await assert.rejects(large, (error) => error === reason);
  (await small).release();
  await assert.rejects(semaphore.acquire({ signal: controller.signal }), (error) => error === reason);
  held.release();
  const { waiting, acquired, refused } = semaphore.stats();
  assert.deepEqual([semaphore.stats().held, waiting, acquired, refused], [0, 0, 2, 0]);
});

test('ten thousand waits end by one signal', async () => {
  const semaphore = open(1);
  const held = semaphore.tryAcquire();
  const controller = new AbortController();
  const { signal } = controller;
  const waits = Array.from({ length: 10_000 }, () => semaphore.acquire({ signal }));
  controller.abort();
  const settled = await Promise.allSettled(waits);
  assert.ok(settled.every(({ reason }) => reason === signal.reason));
  assert.equal(semaphore.stats().waiting, 0);
  held.release();
  assert.notEqual(semaphore.tryAcquire(), null);
});

test('maxWaiting refuses with BACKPRESSURE, over all keys', async () => {
  const semaphore = open(1, { maxWaiting: 2 });
  const held = ['a', 'b'].map((key) => semaphore.tryAcquire({ key }));
  const waits = ['a', 'b'].map((key) => semaphore.acquire({ key }));
  await assert.rejects(semaphore.acquire({ key: 'a' }), { ...code('BACKPRESSURE'), message: /maxWaiting/ });
  assert.equal(semaphore.stats().refused, 1);
  for (const permit of held) permit.release();
  for (const permit of await Promise.all(waits)) permit.release();
  assert.equal(semaphore.stats().keys, 0);
});

test('reconfigure changes what is given; fewer permits wait for releases', async () => {
  const semaphore = open(3, { maxWaiting: 1 });
  const held = [1, 2, 3].map(() => semaphore.tryAcquire());
  const wait = semaphore.acquire({ permits: 3 });
  semaphore.reconfigure({ maxWaiting: 5 });
  const small = semaphore.acquire();
  const unmet = assert.rejects(wait, {
    ...code('INVALID_OPTION'),
    message: /permits is 3; accepted: an integer from 1 to 1, .*reconfigured/,
  });
  semaphore.reconfigure({ permits: 1 });
  await unmet;
  held[0].release();
  held[1].release();
  assert.equal(await stateOf(small), 'pending');
  held[2].release();
  const permit = await small;
  semaphore.reconfigure({ permits: 2 });
  assert.notEqual(semaphore.tryAcquire(), null);
  permit.release();
  assert.equal(semaphore.stats().permits, 2);
  for (const options of [{ permits: 0 }, { maxWaiting: 0 }, { maxWaiting: 1_000_001 }, { other: 1 }]) {
    assert.throws(() => semaphore.reconfigure(options), code('INVALID_OPTION'));
  }
});

test('destroy ends every wait with CLOSED, and the name is free', async () => {
  const name = freshName();
  const semaphore = new Semaphore(name, { permits: 1 });
  const held = semaphore.tryAcquire();
  const rejected = [semaphore.acquire(), semaphore.acquire()].map((wait) =>
    assert.rejects(wait, { ...code('CLOSED'), message: /was destroyed/ }),
  );
  assert.equal(Semaphore.destroy(name), true);
  await Promise.all(rejected);
  assert.equal(Semaphore.destroy(name), false);
  held.release();
  for (const call of [() => semaphore.tryAcquire(), () => semaphore.stats()]) {
    assert.throws(call, code('CLOSED'));
  }
  assert.throws(() => semaphore.reconfigure({ permits: 2 }), code('CLOSED'));
  await assert.rejects(semaphore.acquire(), code('CLOSED'));
  await assert.rejects(
    semaphore.run(() => 1),
    code('CLOSED'),
  );
  assert.notEqual(new Semaphore(name, { permits: 1 }).tryAcquire(), null);
});

test('reset() of sluice/testing releases permits and ends waits; the semaphore stays', async () => {
  const semaphore = open(1);
  const held = semaphore.tryAcquire();
  const rejected = assert.rejects(semaphore.acquire(), { ...code('CLOSED'), message: /was reset/ });
  testing.reset();
  await rejected;
  const after = semaphore.tryAcquire();
  assert.notEqual(after, null);
  held.release();
  assert.equal(semaphore.tryAcquire(), null, 'a permit of before the reset returns nothing');
});

test('the same options attach, others are CONFIG_MISMATCH', () => {
  const name = freshName();
  assert.throws(() => new Semaphore(name), code('NOT_FOUND'));
  const semaphore = new Semaphore(name, { permits: 2 });
  assert.notEqual(new Semaphore(name, { permits: 2, maxWaiting: 10_000 }).tryAcquire({ permits: 2 }), null);
  assert.equal(new Semaphore(name).tryAcquire(), null);
  assert.equal(semaphore.name, name);
  assert.throws(() => new Semaphore(name, { permits: 3 }), {
    ...code('CONFIG_MISMATCH'),
    message: /permits = 2; given: 3/,
  });
});

test('invalid arguments are errors that say what is accepted, and change nothing', async () => {
  const semaphore = open(2);
  const constructions = [
    {},
    { permits: 0 },
    { permits: 1.5 },
    { permits: 1, maxWaiting: 0 },
    { permits: 1, max: 2 },
  ];
  for (const options of constructions) {
    assert.throws(() => new Semaphore(freshName(), options), code('INVALID_OPTION'), JSON.stringify(options));
  }
  assert.throws(() => new Semaphore('', { permits: 1 }), code('INVALID_NAME'));
  assert.throws(() => open(1, { scope: { redis: 'redis://localhost' } }), code('UNSUPPORTED'));
  const calls = [
    { permits: 0 },
    { permits: 3 },
    { permits: '1' },
    { timeout: 0 },
    { signal: {} },
    { key: 1, other: 1 },
  ];
  for (const options of calls) {
    await assert.rejects(semaphore.acquire(options), code('INVALID_OPTION'), JSON.stringify(options));
    const ran = semaphore.run(() => assert.fail('not called'), options);
    await assert.rejects(ran, code('INVALID_OPTION'));
  }
  assert.throws(() => semaphore.tryAcquire({ timeout: 1 }), code('INVALID_OPTION'));
  for (const key of ['', 1, null, {}]) {
    await assert.rejects(semaphore.acquire({ key }), code('INVALID_KEY'));
    assert.throws(() => semaphore.tryAcquire({ key }), code('INVALID_KEY'));
  }
  await assert.rejects(semaphore.run('no function'), code('INVALID_OPTION'));
  await assert.rejects(semaphore.acquire({ permits: 3 }), {
    message: /^Semaphore acquire permits is 3; accepted: an integer from 1 to 2, the permits of /,
  });
  const { held, waiting, acquired, refused } = semaphore.stats();
  assert.deepEqual([held, waiting, acquired, refused], [0, 0, 0, 0]);
});
