// Lifecycle hooks: order, timeouts and outcomes, and the process signals that force them.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import sluice from '../../index.js';
import { freshNames, manualClock } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const { Lifecycle } = sluice;

const freshName = freshNames('lifecycle-hooks');
const turn = () => new Promise(setImmediate);

test('hooks run concurrently, and the report has the outcome of each', async () => {
  const lifecycle = new Lifecycle(freshName());
  const order = [];
  const store = new AsyncLocalStorage();
  let endWork;
  lifecycle.onShutdown(
    async () => {
      await turn();
      order.push('drained');
    },
    { name: 'pool', when: 'drained' },
  );
  store.run('context', () =>
    lifecycle.onShutdown(async function flush({ reason }) {
      order.push(`flush ${reason} ${store.getStore()}`);
      endWork();
    }),
  );
  lifecycle.onShutdown(() => {
    throw Object.assign(new TypeError('no file'), { code: 'ENOENT' });
  });
  lifecycle.onShutdown(() => Promise.reject('text'), { name: 'rejecting' });
  const work = new Promise((resolve) => {
    endWork = resolve;
  });
  lifecycle.track(work.then(() => order.push('work')));
  const { drained, hooks } = await lifecycle.shutdown({ reason: 'bye' });
  assert.deepEqual(order, ['flush bye context', 'work', 'drained']);
  assert.equal(drained, true, 'failed hooks do not affect drained');
  assert.deepEqual(
    hooks.map(({ name, ok }) => [name, ok]),
    [
      ['pool', true],
      ['flush', true],
      ['hook 3', false],
      ['rejecting', false],
    ],
  );
  const { name, message, code: errorCode } = hooks[2].error;
  assert.ok(hooks[2].error instanceof Error);
  assert.deepEqual([name, message, errorCode], ['TypeError', 'no file', 'ENOENT']);
  assert.equal(hooks[3].error.message, 'text');
  assert.deepEqual(Object.keys(hooks[0]), ['name', 'ok']);
});

test('the report describes any value that a hook throws', async () => {
  const lifecycle = new Lifecycle(freshName());
  const unreadable = Object.defineProperty(new Error(), 'message', { get: () => assert.fail('unreadable') });
  const thrown = ['text', 7, undefined, Symbol('s'), Object.create(null), unreadable];
  for (const error of thrown) lifecycle.onShutdown(() => Promise.reject(error));
  lifecycle.onShutdown(Object.defineProperty(() => {}, 'name', { value: {} }));
  const { hooks } = await lifecycle.shutdown();
  assert.deepEqual(
    hooks.map(({ name, error }) => [name, error?.message]),
    ['text', '7', 'undefined', 'a symbol', 'an object', 'an error that cannot be read', undefined].map(
      (message, i) => [`hook ${i + 1}`, message],
    ),
  );
});

test('a hook times out after its own timeout, at the deadline or, with when: drained, two seconds later', async (t) => {
  const clock = manualClock(t);
  const lifecycle = new Lifecycle(freshName());
  let ran = 0;
  const hang = () => {
    ran += 1;
    return new Promise(() => {});
  };
  lifecycle.onShutdown(hang, { name: 'short', timeout: '2s' });
  lifecycle.onShutdown(hang, { name: 'long' });
  lifecycle.onShutdown(hang, { name: 'last', when: 'drained' });
  const down = lifecycle.shutdown({ timeout: '5s' });
  await until(() => ran, 2);
  clock.advance('2s');
  await new Promise((resolve) => setTimeout(resolve, 30));
  clock.advance('3s');
  await until(() => ran, 3);
  clock.advance('2s');
  const { drained, hooks, hooksMs, durationMs } = await down;
  assert.deepEqual({ drained, hooksMs, durationMs }, { drained: true, hooksMs: 2000, durationMs: 7000 });
  assert.deepEqual(
    hooks.map(({ name, error }) => [name, error.code, /after (\d+) ms/.exec(error.message)[1]]),
    [
      ['short', 'ERR_SLUICE_TIMEOUT', '2000'],
      ['long', 'ERR_SLUICE_TIMEOUT', '5000'],
      ['last', 'ERR_SLUICE_TIMEOUT', '2000'],
    ],
  );
});

/** A lifecycle whose work never ends, and a hook `run` that settles on `hook.end()`. */
function withEndlessWork() {
  const lifecycle = new Lifecycle(freshName());
  lifecycle.track(new Promise(() => {}));
  const hook = {};
  const run = () =>
    new Promise((resolve) => {
      hook.end = resolve;
    });
  return { lifecycle, hook, run };
}

test('hooks with when: drained have their full timeout after the drain', async (t) => {
  const clock = manualClock(t);
  const { lifecycle, hook, run } = withEndlessWork();
  lifecycle.onShutdown(run, { name: 'flush', when: 'drained', timeout: '2s' });
  const down = lifecycle.shutdown({ timeout: '5s' });
  clock.advance('5s');
  await until(() => hook.end !== undefined, true);
  clock.advance(1_999);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(lifecycle.state, 'draining');
  hook.end();
  const { drained, tasksLeft, hooks, hooksMs, durationMs, perThread } = await down;
  assert.deepEqual(
    { drained, tasksLeft, hooks },
    { drained: false, tasksLeft: 1, hooks: [{ name: 'flush', ok: true }] },
  );
  assert.deepEqual([hooksMs, durationMs, perThread[0].hooksMs], [1_999, 6_999, 1_999]);
});

test('hooks with when: drained share hooksTimeout, by default five seconds, which a later call may shorten', async (t) => {
  const clock = manualClock(t);
  const untilForced = { when: 'drained', timeout: '1h' };
  const ends = async (options, later, ms) => {
    const { lifecycle, hook, run } = withEndlessWork();
    lifecycle.onShutdown(run, untilForced);
    const down = lifecycle.shutdown({ timeout: 0, ...options });
    await until(() => hook.end !== undefined, true);
    if (later !== undefined) lifecycle.shutdown(later);
    clock.advance(ms - 1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(lifecycle.state, 'draining');
    clock.advance(1);
    const { hooks, hooksMs } = await down;
    assert.deepEqual([hooks[0].error.code, hooksMs], ['ERR_SLUICE_TIMEOUT', ms]);
  };
  await ends({}, undefined, 5_000);
  await ends({ hooksTimeout: '20s' }, undefined, 20_000);
  await ends({ hooksTimeout: '20s' }, { timeout: 0 }, 20_000);
  await ends({ hooksTimeout: '20s' }, { hooksTimeout: '30s' }, 20_000);
  await ends({ hooksTimeout: '20s' }, { hooksTimeout: '1s' }, 1_000);
});

test('work tracked by hooks with when: drained is waited for within hooksTimeout', async (t) => {
  const clock = manualClock(t);
  const { lifecycle } = withEndlessWork();
  let done;
  const work = () => {
    lifecycle.track(
      new Promise((resolve) => {
        done = resolve;
      }),
    );
  };
  lifecycle.onShutdown(work, { when: 'drained' });
  const down = lifecycle.shutdown({ timeout: 0 });
  await until(() => done !== undefined, true);
  clock.advance(4_000);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(lifecycle.state, 'draining');
  done();
  const { tasksLeft, hooksMs } = await down;
  assert.deepEqual({ tasksLeft, hooksMs }, { tasksLeft: 1, hooksMs: 4_000 });
});

test('a repeated process signal within 500 ms counts as one', async (t) => {
  const clock = manualClock(t);
  for (const [second, after] of [
    ['SIGINT', 0],
    ['SIGTERM', 500],
  ]) {
    const { lifecycle, hook, run } = withEndlessWork();
    lifecycle.onShutdown(run, { when: 'drained' });
    t.after(lifecycle.handleSignals({ timeout: '1h', exit: false }));
    const send = (signal) => process.emit(signal, signal);
    send('SIGTERM');
    for (const pause of [0, 3, 496]) {
      clock.advance(Math.min(pause, after));
      send('SIGTERM');
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(hook.end, undefined, 'the shutdown is not forced');
    clock.advance(Math.min(1, after));
    send(second);
    const { reason, tasksLeft, hooks } = await lifecycle.shutdown();
    assert.deepEqual([reason, tasksLeft, hooks[0].error.code], ['SIGTERM', 1, 'ERR_SLUICE_TIMEOUT']);
  }
});
