// Lifecycle in one thread: states, signals, cancellation tokens, tracked work and the report. Hooks are in
// hooks.test.mjs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sluice from '../../index.js';
import { freshNames, manualClock } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const { Lifecycle } = sluice;

const freshName = freshNames('lifecycle');
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

test('the states are starting, running, draining and stopped', async () => {
  const name = freshName();
  const lifecycle = new Lifecycle(name);
  assert.deepEqual([lifecycle.name, lifecycle.state, lifecycle.isCancelled], [name, 'starting', false]);
  assert.equal(lifecycle.ready(), lifecycle);
  assert.equal(new Lifecycle(name).state, 'running');
  const down = lifecycle.shutdown();
  assert.deepEqual([lifecycle.state, lifecycle.isCancelled], ['draining', true], 'at once');
  lifecycle.ready();
  assert.equal(lifecycle.state, 'draining', 'ready does not undo a shutdown');
  const { durationMs, ...report } = await down;
  assert.ok(Number.isInteger(durationMs) && durationMs >= 0);
  assert.deepEqual(report, { reason: null, ...EMPTY, perThread: { 0: { responded: true, ...EMPTY } } });
  assert.equal(lifecycle.state, 'stopped');
});

test('shutdown may be called before ready', async () => {
  const lifecycle = new Lifecycle(freshName());
  await lifecycle.shutdown({ reason: 'no configuration' });
  assert.equal(lifecycle.state, 'stopped');
});

test('all calls of shutdown return one report, also after it has ended', async () => {
  const name = freshName();
  const lifecycle = new Lifecycle(name);
  const first = lifecycle.shutdown({ reason: 'first' });
  assert.equal(new Lifecycle(name).shutdown({ reason: 'second' }), first);
  const report = await first;
  assert.equal(report.reason, 'first');
  assert.equal(await lifecycle.shutdown(), report);
});

test('signal is an AbortSignal that aborts on the next turn with the reason', async () => {
  const lifecycle = new Lifecycle(freshName());
  const { signal } = lifecycle;
  assert.ok(signal instanceof AbortSignal);
  assert.equal(lifecycle.signal, signal);
  let aborts = 0;
  signal.addEventListener('abort', () => aborts++);
  const down = lifecycle.shutdown({ reason: 'a new version' });
  assert.equal(signal.aborted, false);
  await down;
  assert.deepEqual([signal.aborted, aborts], [true, 1]);
  assert.throws(() => signal.throwIfAborted(), {
    ...code('SHUTTING_DOWN'),
    message: /is shutting down: a new version$/,
  });
  const late = new Lifecycle(lifecycle.name).child('late').signal;
  assert.equal(late.aborted, true, 'a signal requested later is already aborted');
});

test('a child is cancelled with its ancestors, or by itself', async () => {
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
  await until(() => signal.aborted, true);
  assert.match(signal.reason.message, /^"mail" of Lifecycle ".*" was cancelled: enough$/);
  assert.deepEqual([cache.signal.aborted, lifecycle.signal.aborted], [false, false]);
  await lifecycle.shutdown({ reason: 'all' });
  assert.deepEqual([cache.isCancelled, cache.signal.aborted], [true, true]);
  assert.match(cache.signal.reason.message, /is shutting down: all$/);
});

test('shutdown waits for tracked work, including that of children', async () => {
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

test('after cancel or shutdown no new work starts; after the end everything is refused', async () => {
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

test('track calls then of a thenable once and returns a promise', async (t) => {
  const clock = manualClock(t);
  const lifecycle = new Lifecycle(freshName());
  let queries = 0;
  const query = {
    // biome-ignore lint/suspicious/noThenProperty: like a database query
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
  assert.equal((await down).tasksLeft, 1, 'work that settles twice counts once');
});

test('work pending at the deadline is counted in tasksLeft', async (t) => {
  const clock = manualClock(t);
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

test('timeout is ten seconds by default, and a later call may shorten it', async (t) => {
  const clock = manualClock(t);
  const [first, second] = [new Lifecycle(freshName()), new Lifecycle(freshName())];
  for (const lifecycle of [first, second]) lifecycle.track(new Promise(() => {}));
  const downs = [first.shutdown(), second.shutdown({ timeout: '1m' })];
  second.shutdown();
  clock.advance('10s');
  assert.equal((await downs[0]).durationMs, 10_000);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(second.state, 'draining', 'a call without timeout changes nothing');
  second.shutdown({ timeout: 0 });
  assert.equal((await downs[1]).durationMs, 10_000);
});

test('change events arrive in order, on a later turn', async () => {
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

test('after destroy every method throws, and pending shutdowns reject', async () => {
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
  const recreated = new Lifecycle(name);
  assert.deepEqual([recreated.state, recreated.isCancelled], ['starting', false]);
  assert.equal(lifecycle.health()({ url: '/readyz', method: 'POST' }), false);
});

test('an abort listener may destroy the lifecycle', async () => {
  const lifecycle = new Lifecycle(freshName());
  lifecycle.signal.addEventListener('abort', () => Lifecycle.destroy(lifecycle.name));
  assert.equal(lifecycle.child('jobs').signal.aborted, false);
  await assert.rejects(lifecycle.shutdown(), code('CLOSED'));
});

test('invalid names and options are rejected and change nothing', async () => {
  for (const name of ['', 'x'.repeat(129), 1]) {
    assert.throws(() => new Lifecycle(name), code('INVALID_NAME'));
    assert.throws(() => new Lifecycle(freshName()).child(name), code('INVALID_NAME'));
  }
  assert.throws(() => new Lifecycle(freshName(), { timeout: 1 }), {
    ...code('INVALID_OPTION'),
    message: 'Lifecycle has no option "timeout"; accepted: onMismatch',
  });
  const lifecycle = new Lifecycle(freshName());
  const invalidOptions = [
    { timeout: 'soon' },
    { timeout: -1 },
    { delay: 1.5 },
    { hooksTimeout: -1 },
    { reason: 1 },
    { after: 1 },
    null,
  ];
  for (const options of invalidOptions)
    await assert.rejects(lifecycle.shutdown(options), code('INVALID_OPTION'));
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
