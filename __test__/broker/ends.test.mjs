// How calls end without an answer, and what holds after a broker was closed or destroyed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import v8 from 'node:v8';
import sluice from '../../index.js';
import peer from '../../lib/broker/peer.js';
import bindings from '../../lib/runtime/native.js';
import testing from '../../lib/testing.js';
import { join, outcomes, shared, until } from '../helpers/broker.mjs';
import { freshName } from '../helpers/peer.mjs';

const { Broker } = sluice;
const { manualClock } = testing;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const code = (name) => ({ name: 'SluiceError', code: `ERR_SLUICE_${name}` });

/** Joins a broker with an endpoint `never` that does not answer. */
function silent(t) {
  const broker = join(t);
  return broker.handle('never', () => new Promise(() => {}));
}

test('a signal that aborts while the payload is encoded rejects the call', async (t) => {
  const broker = silent(t);
  const controller = new AbortController();
  const aborting = {
    get last() {
      controller.abort('read');
      return 1;
    },
  };
  const call = broker.call('never', aborting, { signal: controller.signal });
  assert.equal(await call.catch((reason) => reason), 'read');
  assert.deepEqual([broker.pendingCount, broker.stats().inFlight], [0, 0]);
});

test('a signal shared by many calls has one listener, removed once all have settled', async (t) => {
  const broker = silent(t);
  broker.handle('echo', (payload) => payload);
  const warnings = [];
  const onWarning = (warning) => warnings.push(warning.message);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const controller = new AbortController();
  const { signal } = controller;
  const calls = Array.from({ length: 100 }, (_, i) => broker.call('echo', i, { signal }));
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  await Promise.all(calls);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  const stuck = outcomes(Array.from({ length: 100 }, () => broker.call('never', null, { signal })));
  controller.abort(Object.assign(new Error('over'), { code: 'OVER' }));
  assert.deepEqual(await stuck, Array(100).fill('OVER'));
  assert.deepEqual([broker.pendingCount, broker.stats().thread.aborted, warnings], [0, 100, []]);
});

test('a deadline that passes during the call rejects it once and removes its signal listener', async (t) => {
  const clock = manualClock();
  t.after(() => clock.restore());
  const broker = silent(t);
  const { signal } = new AbortController();
  const { native } = bindings;
  const { routeRequest } = native;
  t.mock.method(native, 'routeRequest', (...args) => {
    const receiver = routeRequest(...args);
    clock.advance('1s');
    return receiver;
  });
  await assert.rejects(broker.call('never', null, { signal, timeout: 1 }), code('TIMEOUT'));
  assert.deepEqual([broker.pendingCount, getEventListeners(signal, 'abort').length], [0, 0]);
  await until(() => broker.stats().inFlight === 0);
  assert.equal(broker.stats().thread.timeouts, 1);
});

test('after the clock is set back, pending calls still time out after their timeout', async (t) => {
  const clock = manualClock();
  t.after(() => clock.restore());
  const broker = silent(t);
  clock.advance('1d');
  const calls = [5, 40, 80].map((timeout) => outcomes([broker.call('never', null, { timeout })]));
  clock.restore();
  assert.deepEqual((await Promise.all(calls)).flat(), ['TIMEOUT', 'TIMEOUT', 'TIMEOUT']);
});

test('a call whose answer arrived in time resolves even if its thread was busy past the deadline', async (t) => {
  const { broker } = await shared(t, 1);
  await broker.call('echo', 'warm');
  const call = broker.call('echo', 'in time', { timeout: 1000 });
  await null;
  await null;
  await null;
  // Blocks past the deadline, and leaves the processor to the other thread.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1200);
  assert.equal(await call, 'in time');
});

test('a closed Broker object does not affect a later one of the same thread and name', async (t) => {
  const first = join(t);
  first.handle('serve', () => 1);
  await first.close();
  const second = join(t, first.name);
  second.handle('serve', () => 2);
  assert.throws(() => first.unhandle('serve'), code('CLOSED'));
  assert.throws(() => first.on('message', () => {}), code('CLOSED'));
  assert.equal(
    first
      .off('message', () => {})
      .ref()
      .unref(),
    first,
  );
  assert.equal(await second.call('serve'), 2);
});

test('a broker that another thread destroys is CLOSED at once; its name can be joined again', async (t) => {
  const { broker, peers } = await shared(t, 1);
  const words = new Int32Array(new SharedArrayBuffer(8));
  const outcome = peers[0].run(
    ({ load, state }, { name, words }) => {
      Atomics.store(words, 0, 1);
      Atomics.notify(words, 0);
      // Blocked until the broker is destroyed, so no event can arrive before that.
      Atomics.wait(words, 1, 0);
      const codes = ['peers', 'endpoints', 'stats', 'broadcast'].map((method) => {
        try {
          return state.broker[method]('x');
        } catch (error) {
          return error.code;
        }
      });
      state.broker = new (load().Broker)(name);
      state.broker.handle('new', () => 'new');
      return [...codes, ...state.broker.endpoints()];
    },
    { name: broker.name, words },
  );
  await until(() => Atomics.load(words, 0) === 1);
  Broker.destroy(broker.name);
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
  assert.deepEqual(await outcome, [...Array(4).fill('ERR_SLUICE_CLOSED'), 'new']);
  assert.equal(await join(t, broker.name).call('new'), 'new');
});

test('close() waits for the workers of a group that is unref’d', () => {
  const worker = `
    const broker = new (require('.').Broker)('ends');
    // Lives for a while after its broker has closed.
    const lives = setInterval(() => {
      try {
        broker.peers();
      } catch {
        clearInterval(lives);
      }
    }, 200);`;
  const main = `
    const { Broker } = require('.');
    (async () => {
      const group = await new Broker('ends').spawn(${JSON.stringify(worker)}, { eval: true });
      await group.unref().close();
      console.log('closed');
    })();`;
  const ended = spawnSync(process.execPath, ['-e', main], { cwd: ROOT, encoding: 'utf8', timeout: 300_000 });
  assert.deepEqual([ended.stdout, ended.stderr, ended.status], ['closed\n', '', 0]);
});

test('brokers that were closed or destroyed are garbage collected', async () => {
  const before = v8.queryObjects(peer.Peer);
  for (let i = 0; i < 20; i++) {
    const name = freshName();
    const broker = new Broker(name).handle('serve', () => i);
    assert.equal(await broker.call('serve'), i);
    if (i % 2 === 0) await broker.close();
    else Broker.destroy(name);
  }
  // A new peer is referenced until the end of the turn, when it is announced.
  await new Promise(setImmediate);
  const kept = v8.queryObjects(peer.Peer) - before;
  assert.ok(kept < 5, `${kept} of 20`);
});
