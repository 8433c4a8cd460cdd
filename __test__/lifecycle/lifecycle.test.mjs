// Lifecycle in one thread: states, signals, tokens, tracked work, hooks and the report.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshNames } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const { Lifecycle } = sluice;

const freshName = freshNames('lifecycle');
const turn = () => new Promise(setImmediate);
const code = (name) => ({ name: 'SluiceError', code: `ERR_SLUICE_${name}` });

const EMPTY = {
  drained: true,
  forced: 0,
  connectionsClosed: 0,
  connectionsReset: 0,
  tasksLeft: 0,
  hooks: [],
  hooksMs: 0,
};

function stoppedClock(t) {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  return clock;
}

test('it starts, runs, drains and has stopped', async () => {
  const name = freshName();
  const lifecycle = new Lifecycle(name);
  assert.deepEqual([lifecycle.name, lifecycle.state, lifecycle.isCancelled], [name, 'starting', false]);
  assert.equal(lifecycle.ready(), lifecycle);
  assert.equal(new Lifecycle(name).state, 'running');
  const down = lifecycle.shutdown();
  assert.deepEqual([lifecycle.state, lifecycle.isCancelled], ['draining', true], 'at once');
  lifecycle.ready();
  assert.equal(lifecycle.state, 'draining', 'ready takes nothing back');
  const { durationMs, ...report } = await down;
  assert.ok(Number.isInteger(durationMs) && durationMs >= 0);
  assert.deepEqual(report, { reason: null, ...EMPTY, perThread: { 0: { responded: true, ...EMPTY } } });
  assert.equal(lifecycle.state, 'stopped');
});

test('it may shut down before it is ready', async () => {
  const lifecycle = new Lifecycle(freshName());
  await lifecycle.shutdown({ reason: 'no configuration' });
  assert.equal(lifecycle.state, 'stopped');
});

test('all who call for a shutdown get one report, also when it has ended', async () => {
  const name = freshName();
  const lifecycle = new Lifecycle(name);
  const first = lifecycle.shutdown({ reason: 'first' });
  assert.equal(new Lifecycle(name).shutdown({ reason: 'second' }), first);
  const report = await first;
  assert.equal(report.reason, 'first');
  assert.equal(await lifecycle.shutdown(), report);
});

test('the signal is a real one, aborts on the next turn and says why', async () => {
  const lifecycle = new Lifecycle(freshName());
  const { signal } = lifecycle;
  assert.ok(signal instanceof AbortSignal);
  assert.equal(lifecycle.signal, signal);
  let told = 0;
  signal.addEventListener('abort', () => told++);
  const down = lifecycle.shutdown({ reason: 'a new version' });
  assert.equal(signal.aborted, false);
  await down;
  assert.deepEqual([signal.aborted, told], [true, 1]);
  assert.throws(() => signal.throwIfAborted(), {
    ...code('SHUTTING_DOWN'),
    message: /is shutting down: a new version$/,
  });
  const late = new Lifecycle(lifecycle.name).child('late').signal;
  assert.equal(late.aborted, true, 'asked for later it has aborted');
});

test('children are cancelled with what is above them, or by themselves', async () => {
  const lifecycle = new Lifecycle(freshName());
  const jobs = lifecycle.child('jobs');
  const mail = jobs.child('mail');
  const cache = lifecycle.child('cache');
  assert.equal(lifecycle.child('jobs'), jobs);
  assert.equal(jobs.name, 'jobs');
  const { signal } = mail;
  assert.equal(jobs.cancel('enough'), true);
  assert.equal(jobs.cancel('again'), false);
  assert.deepEqual(
    [jobs, mail, cache, lifecycle].map((t) => t.isCancelled),
    [true, true, false, false],
  );
  await turn();
  assert.match(signal.reason.message, /^"mail" of Lifecycle ".*" was cancelled: enough$/);
  assert.deepEqual([cache.signal.aborted, lifecycle.signal.aborted], [false, false]);
  await lifecycle.shutdown({ reason: 'all' });
  assert.deepEqual([cache.isCancelled, cache.signal.aborted], [true, true]);
  assert.match(cache.signal.reason.message, /is shutting down: all$/);
});

test('tracked work is waited for, that of children too', async () => {
  const lifecycle = new Lifecycle(freshName());
  const ends = [];
  const promise = new Promise((resolve) => ends.push(resolve));
  assert.equal(lifecycle.track(promise), promise);
  const begun = lifecycle.child('jobs').track(async (signal) => {
    assert.ok(signal instanceof AbortSignal);
    await new Promise((resolve) => ends.push(resolve));
    return 'whole';
  });
  const failing = lifecycle.track(async () => {
    throw new Error('it fails');
  });
  await assert.rejects(failing, { message: 'it fails' });
  const down = lifecycle.shutdown();
  const late = lifecycle.track(new Promise((resolve) => ends.push(resolve)));
  let isDown = false;
  down.then(() => {
    isDown = true;
  });
  for (const end of ends) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    assert.equal(isDown, false);
    end();
  }
  const report = await down;
  assert.deepEqual([report.drained, report.tasksLeft], [true, 0]);
  assert.equal(await begun, 'whole');
  await late;
});

test('work that has not begun is refused, and after the end all is', async () => {
  const lifecycle = new Lifecycle(freshName());
  const child = lifecycle.child('jobs');
  child.cancel('enough');
  await assert.rejects(child.track(assert.fail), { ...code('SHUTTING_DOWN'), message: /cancelled: enough$/ });
  const down = lifecycle.shutdown();
  await assert.rejects(lifecycle.track(assert.fail), code('SHUTTING_DOWN'));
  await down;
  await assert.rejects(lifecycle.track(Promise.resolve()), code('SHUTTING_DOWN'));
  assert.throws(() => lifecycle.onShutdown(() => {}), code('SHUTTING_DOWN'));
  for (const work of [undefined, 1, {}]) assert.throws(() => lifecycle.track(work), code('INVALID_OPTION'));
});

test('a thenable is asked once, and a promise of it is given back', async (t) => {
  const clock = stoppedClock(t);
  const lifecycle = new Lifecycle(freshName());
  let queries = 0;
  const query = {
    // biome-ignore lint/suspicious/noThenProperty: as the queries of databases have one
    then(resolve) {
      queries += 1;
      resolve('a row');
      resolve('again');
    },
  };
  assert.deepEqual([await lifecycle.track(query), queries], ['a row', 1]);
  lifecycle.track(new Promise(() => {}));
  const down = lifecycle.shutdown({ timeout: '5s' });
  clock.advance('5s');
  assert.equal((await down).tasksLeft, 1, 'work that ends twice counts once');
});

test('after the deadline what is left is counted', async (t) => {
  const clock = stoppedClock(t);
  const lifecycle = new Lifecycle(freshName());
  lifecycle.track(new Promise(() => {}));
  lifecycle.child('jobs').track(() => new Promise(() => {}));
  const down = lifecycle.shutdown({ timeout: '5s' });
  clock.advance(4_999);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(lifecycle.state, 'draining');
  clock.advance(1);
  const { drained, tasksLeft, durationMs } = await down;
  assert.deepEqual({ drained, tasksLeft, durationMs }, { drained: false, tasksLeft: 2, durationMs: 5_000 });
});

test('the time is ten seconds, and a later call may shorten it', async (t) => {
  const clock = stoppedClock(t);
  const [first, second] = [new Lifecycle(freshName()), new Lifecycle(freshName())];
  for (const lifecycle of [first, second]) lifecycle.track(new Promise(() => {}));
  const downs = [first.shutdown(), second.shutdown({ timeout: '1m' })];
  second.shutdown();
  clock.advance('10s');
  assert.equal((await downs[0]).durationMs, 10_000);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(second.state, 'draining', 'a call without a time changes nothing');
  second.shutdown({ timeout: 0 });
  assert.equal((await downs[1]).durationMs, 10_000);
});

test('hooks run all at once, and each says what became of it', async () => {
  const lifecycle = new Lifecycle(freshName());
  const order = [];
  const store = new AsyncLocalStorage();
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
    }),
  );
  lifecycle.onShutdown(() => {
    throw Object.assign(new TypeError('no file'), { code: 'ENOENT' });
  });
  lifecycle.onShutdown(() => Promise.reject('text'), { name: 'rejecting' });
  lifecycle.track(new Promise((resolve) => setTimeout(resolve, 20)).then(() => order.push('work')));
  const { drained, hooks } = await lifecycle.shutdown({ reason: 'bye' });
  assert.deepEqual(order, ['flush bye context', 'work', 'drained']);
  assert.equal(drained, true, 'what hooks do is told apart');
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

test('what a hook throws is told, whatever it is', async () => {
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

test('a hook that takes too long is left behind, at its own time, at the deadline, or two seconds after', async (t) => {
  const clock = stoppedClock(t);
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

/** A lifecycle whose work never ends; a hook for the time after that settles when it is told to. */
function stuck() {
  const lifecycle = new Lifecycle(freshName());
  lifecycle.track(new Promise(() => {}));
  const hook = {};
  const run = () =>
    new Promise((resolve) => {
      hook.end = resolve;
    });
  return { lifecycle, hook, run };
}

test('hooks for the end of the drain keep their time however long that took', async (t) => {
  const clock = stoppedClock(t);
  const { lifecycle, hook, run } = stuck();
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

test('together they have five seconds, or `hooksTimeout`, which a later call may shorten', async (t) => {
  const clock = stoppedClock(t);
  const long = { when: 'drained', timeout: '1h' };
  const ends = async (options, later, ms) => {
    const { lifecycle, hook, run } = stuck();
    lifecycle.onShutdown(run, long);
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

test('work that they leave behind has their time as well', async (t) => {
  const clock = stoppedClock(t);
  const { lifecycle } = stuck();
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

test('a signal of the same kind within 500 ms is the same one', async (t) => {
  const clock = stoppedClock(t);
  for (const [second, after] of [
    ['SIGINT', 0],
    ['SIGTERM', 500],
  ]) {
    const { lifecycle, hook, run } = stuck();
    lifecycle.onShutdown(run, { when: 'drained' });
    t.after(lifecycle.handleSignals({ timeout: '1h', exit: false }));
    const send = (signal) => process.emit(signal, signal);
    send('SIGTERM');
    for (const pause of [0, 3, 496]) {
      clock.advance(Math.min(pause, after));
      send('SIGTERM');
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(hook.end, undefined, 'nothing is forced');
    clock.advance(Math.min(1, after));
    send(second);
    const { reason, tasksLeft, hooks } = await lifecycle.shutdown();
    assert.deepEqual([reason, tasksLeft, hooks[0].error.code], ['SIGTERM', 1, 'ERR_SLUICE_TIMEOUT']);
  }
});

test('changes are told in order, and not before the next turn', async () => {
  const lifecycle = new Lifecycle(freshName());
  const [states, once] = [[], []];
  const listener = ({ state }) => states.push(state);
  lifecycle.on('change', listener).once('change', ({ state }) => once.push(state));
  lifecycle.ready();
  assert.deepEqual(states, []);
  await lifecycle.shutdown();
  await until(() => states.length, 3);
  assert.deepEqual(states, ['running', 'draining', 'stopped']);
  assert.deepEqual(once, ['running']);
  lifecycle.off('change', listener);
  assert.throws(() => lifecycle.on('state', listener), code('INVALID_OPTION'));
});

test('what was destroyed refuses, and whoever waits is told', async () => {
  const name = freshName();
  const lifecycle = new Lifecycle(name);
  const child = lifecycle.child('jobs');
  lifecycle.track(new Promise(() => {}));
  const down = lifecycle.shutdown();
  assert.equal(Lifecycle.destroy(name), true);
  assert.equal(Lifecycle.destroy(name), false);
  await assert.rejects(down, code('CLOSED'));
  const calls = [
    () => lifecycle.state,
    () => lifecycle.isCancelled,
    () => lifecycle.ready(),
    () => lifecycle.child('x'),
    () => lifecycle.track(Promise.resolve()),
    () => lifecycle.onShutdown(() => {}),
    () => lifecycle.on('change', () => {}),
    () => lifecycle.signal,
    () => child.signal,
    () => child.isCancelled,
    () => child.cancel(),
  ];
  for (const call of calls) assert.throws(call, code('CLOSED'), String(call));
  await assert.rejects(lifecycle.shutdown(), code('CLOSED'));
  const anew = new Lifecycle(name);
  assert.deepEqual([anew.state, anew.isCancelled], ['starting', false]);
  assert.equal(lifecycle.health()({ url: '/readyz', method: 'POST' }), false);
});

test('a listener of a signal may destroy it', async () => {
  const lifecycle = new Lifecycle(freshName());
  lifecycle.signal.addEventListener('abort', () => Lifecycle.destroy(lifecycle.name));
  assert.equal(lifecycle.child('jobs').signal.aborted, false);
  await assert.rejects(lifecycle.shutdown(), code('CLOSED'));
});

test('mistakes are told, and change nothing', async () => {
  for (const name of ['', 'x'.repeat(129), 1]) {
    assert.throws(() => new Lifecycle(name), code('INVALID_NAME'));
    assert.throws(() => new Lifecycle(freshName()).child(name), code('INVALID_NAME'));
  }
  assert.throws(() => new Lifecycle(freshName(), { timeout: 1 }), {
    ...code('INVALID_OPTION'),
    message: 'Lifecycle has no option "timeout"; accepted: onMismatch',
  });
  const lifecycle = new Lifecycle(freshName());
  const wrong = [
    { timeout: 'soon' },
    { timeout: -1 },
    { delay: 1.5 },
    { hooksTimeout: -1 },
    { reason: 1 },
    { after: 1 },
    null,
  ];
  for (const options of wrong) await assert.rejects(lifecycle.shutdown(options), code('INVALID_OPTION'));
  for (const options of [{ timeout: 0 }, { when: 'now' }, { name: '' }, { order: 1 }]) {
    assert.throws(() => lifecycle.onShutdown(() => {}, options), code('INVALID_OPTION'));
  }
  const calls = [
    () => lifecycle.onShutdown('close'),
    () => lifecycle.attach({}),
    () => lifecycle.attach({ listen() {}, emit() {} }),
    () => lifecycle.child('x').cancel(1),
    () => lifecycle.health({ livePath: 'healthz' }),
    () => lifecycle.handleSignals({ signals: ['SIGNOTHING'] }),
    () => lifecycle.handleSignals({ signals: [] }),
    () => lifecycle.handleSignals({ signals: ['SIGTERM', 'SIGKILL'] }),
    () => lifecycle.handleSignals({ exit: 1 }),
    () => lifecycle.handleSignals({ hooksTimeout: 'soon' }),
  ];
  for (const call of calls) assert.throws(call, code('INVALID_OPTION'), String(call));
  assert.deepEqual([lifecycle.state, process.listenerCount('SIGTERM')], ['starting', 0]);
});
