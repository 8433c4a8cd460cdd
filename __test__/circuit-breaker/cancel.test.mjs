// CircuitBreaker: a call that its caller aborts counts neither as a success nor as a failure of the target.
import assert from 'node:assert/strict';
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { getEventListeners, once } from 'node:events';
import http from 'node:http';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName, runInAll, startPeers } from '../helpers/peer.mjs';
import { stopClock } from '../helpers/setup.mjs';

const { CircuitBreaker, RateLimiter } = sluice;
const clock = stopClock();

const FOUR = { window: { calls: 4 }, minimumCalls: 4, openFor: '1s' };
const own = new Error('own error');

const fresh = (options) => new CircuitBreaker(freshName(), { ...FOUR, ...options });
const is = (expected) => (error) => error === expected;
const never = () => new Promise(() => {});
const fail = async () => {
  throw own;
};
const named = (name) => new DOMException('given up', name);

/** Rejects once the signal aborts, as a function that honours its signal does. */
const untilAborted = (signal) =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

/** A breaker whose circuit is open and due for a trial. */
async function tripped(options) {
  const breaker = fresh(options);
  for (let i = 0; i < 4; i++) await assert.rejects(breaker.fire('db', fail), is(own));
  clock.advance('1s');
  return breaker;
}

const counts = (breaker) => {
  const { successes, failures } = breaker.stats();
  return { successes, failures, state: breaker.state('db') };
};
const NOTHING = { successes: 0, failures: 0, state: 'closed' };

test('an aborted call rejects with the reason of its signal and is not counted', async () => {
  const breaker = fresh({ timeout: '5s' });
  for (const fn of [untilAborted, never, (signal) => untilAborted(signal).catch(() => 'a late success')]) {
    for (let i = 0; i < 8; i++) {
      const controller = new AbortController();
      const call = breaker.fire('db', fn, { signal: controller.signal });
      const reason = i % 2 === 0 ? new Error('the client went away') : undefined;
      controller.abort(reason);
      await assert.rejects(call, is(controller.signal.reason));
    }
  }
  clock.advance('5s');
  assert.deepEqual(counts(breaker), NOTHING);
});

test('an AbortError thrown by the function is not counted; a TimeoutError is a failure', async () => {
  const breaker = fresh();
  const throwing = (error) => () => Promise.reject(error);
  for (let i = 0; i < 8; i++) {
    const error = named('AbortError');
    await assert.rejects(breaker.fire('db', throwing(error)), is(error));
  }
  assert.deepEqual(counts(breaker), NOTHING);
  for (let i = 0; i < 2; i++) {
    await assert.rejects(breaker.fire('db', throwing(named('TimeoutError'))), { name: 'TimeoutError' });
    const deadline = new AbortController();
    const call = breaker.fire('db', untilAborted, { signal: deadline.signal });
    deadline.abort(named('TimeoutError'));
    await assert.rejects(call, is(deadline.signal.reason));
  }
  assert.deepEqual(counts(breaker), { successes: 0, failures: 4, state: 'open' });
});

test('the timeout of the breaker is a failure, even if the function then rejects with an AbortError', async () => {
  const breaker = fresh({ timeout: 500 });
  const { signal } = new AbortController();
  const call = breaker.fire(
    'db',
    (signal) => untilAborted(signal).catch(() => Promise.reject(named('AbortError'))),
    { signal },
  );
  clock.advance(500);
  await assert.rejects(call, { code: 'ERR_SLUICE_TIMEOUT' });
  assert.deepEqual(counts(breaker), { ...NOTHING, failures: 1 });
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('an aborted trial frees its permit, and the circuit stays half-open', async () => {
  const breaker = await tripped({ timeout: '5s' });
  for (let i = 0; i < 8; i++) {
    const controller = new AbortController();
    const trial = breaker.fire('db', untilAborted, { signal: controller.signal });
    assert.equal(breaker.tryAcquire('db'), null);
    controller.abort();
    await assert.rejects(trial, { name: 'AbortError' });
    assert.deepEqual(counts(breaker), { successes: 0, failures: 4, state: 'halfOpen' });
  }
  const abortError = () => Promise.reject(named('AbortError'));
  await assert.rejects(breaker.fire('db', abortError), { name: 'AbortError' });
  assert.equal(breaker.state('db'), 'halfOpen');
  assert.equal(await breaker.fire('db', async () => 'tried'), 'tried');
  assert.deepEqual(counts(breaker), { successes: 1, failures: 4, state: 'closed' });
});

test('failure(abortError) of a permit acts as release()', async () => {
  const breaker = await tripped();
  for (let i = 0; i < 8; i++) {
    const permit = breaker.tryAcquire('db');
    permit.failure(named('AbortError'));
    permit.success();
    permit.failure();
    assert.deepEqual(counts(breaker), { successes: 0, failures: 4, state: 'halfOpen' });
  }
  breaker.tryAcquire('db').failure(named('TimeoutError'));
  assert.equal(breaker.state('db'), 'open');
});

test('an error for which errorFilter returns "ignore" is not counted', async () => {
  const asked = [];
  const breaker = await tripped({
    errorFilter: (error) => {
      asked.push(error);
      return error === own ? false : 'ignore';
    },
  });
  const other = new Error('of another kind');
  await assert.rejects(
    breaker.fire('db', () => Promise.reject(other)),
    is(other),
  );
  breaker.tryAcquire('db').failure(other);
  await assert.rejects(
    breaker.fire('db', () => Promise.reject(named('AbortError'))),
    { name: 'AbortError' },
  );
  assert.deepEqual(counts(breaker), { successes: 0, failures: 4, state: 'halfOpen' });
  assert.deepEqual(asked, [own, own, own, own, other, other], 'errorFilter is not called for aborted calls');
});

test('wrap() accepts one signal for all its calls', async () => {
  const breaker = fresh();
  const controller = new AbortController();
  const query = breaker.wrap('db', async (id, signal) => [id, await untilAborted(signal)], {
    signal: controller.signal,
  });
  const calls = [query(1), query(2)];
  assert.equal(getEventListeners(controller.signal, 'abort').length, 1, 'Node.js warns of a leak at eleven');
  controller.abort();
  for (const call of calls) await assert.rejects(call, { name: 'AbortError' });
  await assert.rejects(query(3), { name: 'AbortError' });
  assert.deepEqual([counts(breaker), breaker.stats().peers.closed], [NOTHING, 1]);
});

test('an aborted signal makes no call; a signal that outlives its calls keeps no listener', async () => {
  const breaker = fresh({ timeout: 500 });
  let calls = 0;
  const count = async () => ++calls;
  const aborted = AbortSignal.abort('gone');
  await assert.rejects(breaker.fire('db', count, { signal: aborted }), is('gone'));
  assert.equal(calls, 0);
  const { signal } = new AbortController();
  assert.equal(await breaker.fire('db', count, { signal }), 1);
  assert.equal(await breaker.fire('db', () => 'at once', { signal }), 'at once');
  await assert.rejects(breaker.fire('db', fail, { signal }), is(own));
  const late = breaker.fire('db', never, { signal });
  clock.advance(500);
  await assert.rejects(late, { code: 'ERR_SLUICE_TIMEOUT' });
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('a call whose function aborts the caller’s signal counts as aborted', async () => {
  const breaker = fresh({ timeout: 500 });
  for (const end of [() => Promise.reject(own), () => 'a value', () => never()]) {
    const controller = new AbortController();
    const call = breaker.fire(
      'db',
      () => {
        controller.abort();
        return end();
      },
      { signal: controller.signal },
    );
    await assert.rejects(call, { name: 'AbortError' });
  }
  clock.advance(500);
  assert.deepEqual(counts(breaker), NOTHING);
});

test('the signal of a call aborts synchronously with the same reason, in the async context of the call', async () => {
  const breaker = fresh();
  const storage = new AsyncLocalStorage();
  const seen = [];
  const controller = new AbortController();
  const call = storage.run('the call', () =>
    breaker.fire(
      'db',
      (signal) => {
        signal.addEventListener('abort', () => seen.push(signal.reason, storage.getStore()));
        return never();
      },
      { signal: controller.signal },
    ),
  );
  storage.run('another', () => controller.abort(own));
  assert.deepEqual(seen, [own, 'the call']);
  await assert.rejects(call, is(own));
});

test('the fallback does not run for a call aborted by its caller', async () => {
  const breaker = fresh().fallback((error) => `instead of ${error.name}`);
  const controller = new AbortController();
  const call = breaker.fire('db', untilAborted, { signal: controller.signal });
  controller.abort();
  await assert.rejects(call, { name: 'AbortError' });
  const abortError = () => Promise.reject(named('AbortError'));
  assert.equal(await breaker.fire('db', abortError), 'instead of AbortError');
});

test('an invalid signal option is an error and makes no call', async () => {
  const breaker = fresh();
  const mistakes = [
    [{ signal: {} }, /signal is an object; accepted: an AbortSignal/],
    [{ signl: 1 }, /no option "signl"; accepted: signal/],
    [null, /options is null; accepted: an object/],
  ];
  for (const [options, message] of mistakes) {
    const invalid = { code: 'ERR_SLUICE_INVALID_OPTION', message };
    await assert.rejects(breaker.fire('db', never, options), invalid);
    assert.throws(() => breaker.wrap('db', never, options), invalid);
  }
  assert.equal(breaker.stats().peers.closed, 0);
});

test('over real sockets: clients that disconnect do not open the circuit of a healthy upstream', async (t) => {
  const breaker = fresh();
  const upstream = http.createServer((_, res) => setTimeout(() => res.end('slow but healthy'), 20));
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.after(() => upstream.close());
  const url = `http://127.0.0.1:${upstream.address().port}/`;
  const get = (signal) => fetch(url, { signal }).then((response) => response.text());
  for (let i = 0; i < 12; i++) {
    const controller = new AbortController();
    const call = breaker.fire('db', get, { signal: controller.signal });
    setImmediate(() => controller.abort());
    await assert.rejects(call, { name: 'AbortError' });
  }
  assert.deepEqual(counts(breaker), NOTHING);
  assert.equal(await breaker.fire('db', get), 'slow but healthy');
});

test('trials that are aborted and whose threads are terminated free their permit exactly once', async (t) => {
  const name = freshName();
  const breaker = new CircuitBreaker(name, { ...FOUR, timeout: '1h' });
  for (let i = 0; i < 4; i++) breaker.tryAcquire('db').failure();
  clock.advance('1s');
  const peers = startPeers(t, 4);
  const granted = [];
  for (const [index, peer] of peers.entries()) {
    granted.push(
      await peer.run(
        async ({ load, state }, { name, aborts }) => {
          state.breaker = new (load().CircuitBreaker)(name);
          const controller = new AbortController();
          const trial = state.breaker.fire('db', () => new Promise(() => {}), { signal: controller.signal });
          trial.catch(() => {});
          const during = state.breaker.state('db');
          if (aborts) controller.abort();
          // A second abort and the end of the thread free no further permit.
          controller.abort();
          return during;
        },
        { name, aborts: index % 2 === 0 },
      ),
    );
    await peer.end();
  }
  assert.deepEqual(granted, Array(4).fill('halfOpen'));
  const permits = [breaker.tryAcquire('db'), breaker.tryAcquire('db')];
  assert.deepEqual([permits[0] !== null, permits[1]], [true, null]);
  permits[0].success();
  assert.equal(breaker.state('db'), 'closed');
});

test('a thread that ends right after an abort frees the permit of its trial once', async (t) => {
  const name = freshName();
  const breaker = new CircuitBreaker(name, { ...FOUR, timeout: '1h', halfOpenCalls: 2 });
  for (let i = 0; i < 4; i++) breaker.tryAcquire('db').failure();
  clock.advance('1s');
  const peers = startPeers(t, 2);
  await runInAll(
    peers,
    ({ load }, name) => {
      const breaker = new (load().CircuitBreaker)(name);
      const controller = new AbortController();
      breaker.fire('db', () => new Promise(() => {}), { signal: controller.signal }).catch(() => {});
      controller.abort();
      breaker.fire('db', () => new Promise(() => {})).catch(() => {});
      setTimeout(() => process.exit(), 0);
    },
    name,
  );
  await Promise.all(peers.map((peer) => peer.exited));
  const permits = [1, 2, 3].map(() => breaker.tryAcquire('db'));
  assert.deepEqual(permits.map(Boolean), [true, true, false]);
  for (const permit of permits.slice(0, 2)) permit.success();
  assert.equal(breaker.state('db'), 'closed');
});

test('a hook of async_hooks that calls the library changes neither the start nor the timeout of a call', async (t) => {
  const limiter = new RateLimiter(freshName(), { limit: 100, window: '1h' });
  const breaker = fresh({ timeout: 50 });
  const hook = createHook({ init: () => limiter.consume('client') }).enable();
  t.after(() => hook.disable());
  const fired = breaker.fire('db', never);
  hook.disable();
  clock.advance(50);
  await assert.rejects(fired, { code: 'ERR_SLUICE_TIMEOUT', message: /took longer than 50 ms$/ });
});
