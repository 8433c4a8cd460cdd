// Functions of the user that throw, in components: with user-functions-guard and user-functions-listeners, one test for
// each row of docs/user-functions.md.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import sluice from '../../index.js';
import { until } from '../helpers/broker.mjs';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { BROKEN, is, own, rejecting, throwing, warningsOf } from './user-functions.mjs';

const { Broker, CircuitBreaker, ClientHub, Lifecycle, Registry } = sluice;

const upstream = new Error('upstream error');
const FOUR = { window: { calls: 4 }, minimumCalls: 4, openFor: '1h' };

test('fire() and wrap(): the call rejects with the error and counts as a failure', async () => {
  const breaker = new CircuitBreaker(freshName(), FOUR);
  for (const fn of [throwing, rejecting]) {
    await assert.rejects(breaker.fire('db', fn), is(own));
    await assert.rejects(breaker.wrap('db', fn)(), is(own));
  }
  assert.deepEqual([breaker.stats().failures, breaker.state('db')], [4, 'open']);
});

for (const [what, fn] of Object.entries(BROKEN)) {
  test(`a result whose then is ${what} that throws: as if the function had thrown`, async () => {
    const breaker = new CircuitBreaker(freshName(), { ...FOUR, timeout: '1h' });
    for (let i = 0; i < 4; i++) await assert.rejects(breaker.fire('db', fn), is(own));
    assert.deepEqual([breaker.stats().failures, breaker.state('db')], [4, 'open']);

    const hub = new ClientHub(freshName());
    for (const call of [1, 2].map(() => hub.getOrInit('key', fn))) await assert.rejects(call, is(own));
    assert.deepEqual([hub.stats().failures, hub.stats().initialising], [1, 0]);

    const broker = new Broker(freshName());
    broker.handle('broken', fn);
    await assert.rejects(broker.call('broken'), { message: own.message });
    assert.equal(broker.stats().running, 0);
    await broker.close();

    const lifecycle = new Lifecycle(freshName());
    await assert.rejects(lifecycle.track(fn), is(own));
    lifecycle.onShutdown(fn, { name: 'broken' });
    const { hooks, tasksLeft } = await lifecycle.shutdown({ timeout: '10s' });
    assert.deepEqual([hooks[0].ok, hooks[0].error.message, tasksLeft], [false, own.message, 0]);
  });
}

test('errorFilter: the call rejects with its own error and counts as a failure; one warning is emitted', async () => {
  const name = freshName();
  for (const [errorFilter, why] of [
    [throwing, 'own error'],
    [rejecting, /it returned a promise/],
    [
      () => {
        throw Object.create(null);
      },
      /cannot be read|object/,
    ],
  ]) {
    const breaker = new CircuitBreaker(`${name} ${why}`, { ...FOUR, errorFilter });
    const warnings = await warningsOf('SLUICE_ERROR_FILTER', async () => {
      for (let i = 0; i < 3; i++) {
        await assert.rejects(
          breaker.fire('db', () => Promise.reject(upstream)),
          is(upstream),
        );
      }
      breaker.tryAcquire('db').failure(upstream);
    });
    assert.deepEqual([breaker.stats().failures, breaker.state('db')], [4, 'open']);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0].message,
      new RegExp(`^CircuitBreaker "${name} .* errorFilter failed; such calls`),
    );
    assert.match(warnings[0].message, why instanceof RegExp ? why : new RegExp(why));
  }
});

test('errorFilter in a half-open circuit: the trial counts as failed', async () => {
  const breaker = new CircuitBreaker(freshName(), { ...FOUR, openFor: 1, errorFilter: throwing });
  for (let i = 0; i < 4; i++) breaker.tryAcquire('db').failure();
  let trial = null;
  while (trial === null) {
    trial = breaker.tryAcquire('db');
    await turn();
  }
  trial.failure(upstream);
  assert.deepEqual([breaker.state('db'), breaker.stats('db').openings], ['open', 2]);
});

test('fallback: the call rejects with the error of the fallback; the failure stays counted', async () => {
  for (const fallback of [throwing, rejecting]) {
    const breaker = new CircuitBreaker(freshName(), FOUR).fallback(fallback);
    await assert.rejects(
      breaker.fire('db', () => Promise.reject(upstream)),
      is(own),
    );
    assert.equal(breaker.stats().failures, 1);
  }
});

test('init: all pending calls reject with the error, and nothing is kept', async () => {
  const hub = new ClientHub(freshName());
  for (const init of [() => turn().then(throwing), () => turn().then(rejecting)]) {
    for (const call of [1, 2, 3].map(() => hub.getOrInit('key', init))) await assert.rejects(call, is(own));
  }
  await assert.rejects(hub.getOrInit('key', throwing), is(own));
  assert.equal(await hub.getOrInit('key', () => 'anew'), 'anew');
});

test('ttl and staleWhileRevalidate as functions: as if the initialiser had thrown', async () => {
  const hub = new ClientHub(freshName());
  for (const options of [{ ttl: throwing }, { ttl: '1s', staleWhileRevalidate: throwing }]) {
    const calls = [1, 2].map(() => hub.getOrInit('key', () => 'made', options));
    for (const call of calls) await assert.rejects(call, is(own));
    assert.deepEqual([hub.get('key'), hub.stats().initialising], [undefined, 0]);
  }
  const { failures, initialisations } = hub.stats();
  assert.deepEqual([failures, initialisations], [2, 2]);
});

test('revive: get() rejects with the error; the next get() calls revive again', async () => {
  const hub = new ClientHub(freshName());
  for (const failing of [throwing, rejecting]) {
    let fails = true;
    const revive = (value) => (fails ? failing() : { value });
    const client = hub.client(`key ${failing.name}`, () => 'data', { revive });
    for (let i = 0; i < 2; i++) await assert.rejects(client.get(), is(own));
    fails = false;
    assert.deepEqual(await client.get(), { value: 'data' });
  }
});

test('the function of Registry.update(): update() throws the error and writes nothing', () => {
  const registry = new Registry(freshName());
  registry.set('key', 1);
  const { version } = registry;
  assert.throws(() => registry.update('key', throwing), is(own));
  assert.throws(() => registry.update('key', async () => 2), { code: 'ERR_SLUICE_INVALID_VALUE' });
  assert.deepEqual([registry.get('key'), registry.version], [1, version]);
});

test('a handler of a Broker: the call rejects with the error; the thread goes on', async (t) => {
  const name = freshName();
  const broker = new Broker(name);
  t.after(() => broker.close());
  const [peer] = startPeers(t, 1);
  await peer.run(({ load, state }, name) => {
    state.broker = new (load().Broker)(name);
    state.broker.handle('throws', () => {
      throw Object.assign(new RangeError('too far'), { code: 'EFAR' });
    });
    state.broker.handle('rejects', async () => {
      throw Object.assign(new RangeError('too far'), { code: 'EFAR' });
    });
    state.broker.handle('answers', () => 'well');
  }, name);
  for (const endpoint of ['throws', 'rejects']) {
    await assert.rejects(broker.call(endpoint), { name: 'RangeError', message: 'too far', code: 'EFAR' });
  }
  assert.equal(await broker.call('answers'), 'well');
  assert.equal(broker.pendingCount, 0);
  // The peer counts a call as answered after it has sent the answer.
  await until(() => broker.stats().inFlight === 0);
});

test('a shutdown hook: its error is in the report; the other hooks run', async () => {
  const lifecycle = new Lifecycle(freshName());
  const ran = [];
  lifecycle.onShutdown(throwing, { name: 'throws' });
  lifecycle.onShutdown(rejecting, { name: 'rejects', when: 'drained' });
  lifecycle.onShutdown(() => ran.push('last'), { name: 'last', when: 'drained' });
  const { hooks } = await lifecycle.shutdown({ timeout: '10s' });
  const outcomes = hooks.map(({ name, ok, error }) => [name, ok, error?.message]);
  assert.deepEqual(outcomes.sort(), [
    ['last', true, undefined],
    ['rejects', false, own.message],
    ['throws', false, own.message],
  ]);
  assert.deepEqual(ran, ['last']);
});

test('track(): its promise rejects with the error; shutdown() does not wait for it', async () => {
  const lifecycle = new Lifecycle(freshName());
  for (const work of [throwing, rejecting]) await assert.rejects(lifecycle.track(work), is(own));
  const { drained, tasksLeft } = await lifecycle.shutdown({ timeout: '10s' });
  assert.deepEqual({ drained, tasksLeft }, { drained: true, tasksLeft: 0 });
});

test('a getter of a value: the call throws its error; nothing is written or sent', async (t) => {
  const value = {
    get broken() {
      throw own;
    },
  };
  const registry = new Registry(freshName());
  assert.throws(() => registry.set('key', value), is(own));
  assert.equal(registry.size, 0);
  const broker = new Broker(freshName(), { id: 'me' });
  t.after(() => broker.close());
  broker.handle('broken', () => value);
  await assert.rejects(async () => broker.call('broken', value), is(own));
  assert.throws(() => broker.send('me', value), is(own));
  assert.throws(() => broker.broadcast(value), is(own));
  assert.equal(broker.stats().inFlight, 0);
  await assert.rejects(broker.call('broken'), { message: own.message });
  await assert.rejects(
    new ClientHub(freshName()).getOrInit('key', () => value),
    is(own),
  );
});
