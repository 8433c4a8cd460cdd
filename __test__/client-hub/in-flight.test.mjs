// ClientHub: calls in flight. Which initialiser runs, when another takes over, and what timeouts and aborts do.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { stopClock } from '../helpers/setup.mjs';
import { byHand, freshHub, is, never, sluiceError, unused } from './setup.mjs';

const clock = stopClock();

test('a value invalidated while it is made resolves earlier calls only, and is not kept', async (t) => {
  const hub = freshHub(t);
  const { calls, init } = byHand();
  const before = [hub.getOrInit('key', init), hub.getOrInit('key', init)];
  assert.equal(hub.invalidate('key'), true);
  const after = [hub.getOrInit('key', init), hub.getOrInit('key', init)];
  assert.equal(calls.length, 1, 'one initialiser at a time');
  calls[0].resolve('old');
  assert.deepEqual(await Promise.all(before), ['old', 'old']);
  assert.equal(hub.get('key'), undefined);
  while (calls.length < 2) await turn();
  calls[1].resolve('new');
  assert.deepEqual([...(await Promise.all(after)), hub.get('key')], ['new', 'new', 'new']);
  assert.equal(hub.stats().initialisations, 2);
});

test('past its timeout an initialiser is replaced by that of a pending call; its late result is ignored', async (t) => {
  const hub = freshHub(t);
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

test('a timeout without other pending calls rejects the call, after 30 s by default', async (t) => {
  const hub = freshHub(t);
  const call = hub.getOrInit('key', never);
  clock.advance('30s');
  await assert.rejects(call, sluiceError('TIMEOUT'));
  assert.equal(hub.stats().handovers, 0);
});

test('the timeout of a pending call’s initialiser starts when that initialiser starts', async (t) => {
  const hub = freshHub(t);
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

test('aborting a pending call rejects that call only', async (t) => {
  const hub = freshHub(t);
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

test('aborting the leader aborts its initialiser if no other call is pending', async (t) => {
  const hub = freshHub(t);
  const { calls, init } = byHand();
  const controller = new AbortController();
  const leader = hub.getOrInit('key', init, { signal: controller.signal });
  controller.abort();
  await assert.rejects(leader, { name: 'AbortError' });
  assert.equal(calls[0].signal.reason, controller.signal.reason);
  calls[0].resolve('ignored');
  await turn();
  assert.equal(hub.get('key'), undefined);
});

test('aborting the leader does not abort its initialiser while other calls are pending', async (t) => {
  const hub = freshHub(t);
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

test('an initialiser is aborted, with the reason of its leader, once the last pending call aborts', async (t) => {
  const hub = freshHub(t);
  const { calls, init } = byHand();
  const signals = [1, 2, 3].map(() => new AbortController());
  const all = signals.map(({ signal }) => hub.getOrInit('key', init, { signal }));
  const settled = Promise.allSettled(all);
  const [first] = signals;
  first.abort(new Error('the first'));
  signals[1].abort();
  await turn();
  assert.equal(calls[0].signal.aborted, false, 'one call is pending');
  signals[2].abort();
  await settled;
  await turn();
  assert.equal(calls[0].signal.reason, first.signal.reason);
  calls[0].resolve('ignored');
  await turn();
  assert.equal(hub.get('key'), undefined);
});

test('an aborted signal rejects the call; a signal that outlives its calls keeps no listener', async (t) => {
  const hub = freshHub(t);
  const { signal } = new AbortController();
  await hub.getOrInit('a', async () => 1, { signal });
  await assert.rejects(
    hub.getOrInit('b', async () => Promise.reject(new Error('no')), { signal }),
    { message: 'no' },
  );
  const late = [hub.getOrInit('c', never, { signal }), hub.getOrInit('c', async () => 1, { signal })];
  assert.equal(getEventListeners(signal, 'abort').length, 1, 'Node.js warns of a leak at eleven');
  clock.advance('1m');
  await Promise.allSettled(late);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  await assert.rejects(hub.getOrInit('a', unused, { signal: AbortSignal.abort('gone') }), is('gone'));
});

test('initialisers run in the async context of their callers', async (t) => {
  const hub = freshHub(t);
  const storage = new AsyncLocalStorage();
  const seen = [];
  const getAs = (caller, init) =>
    storage.run(caller, () => hub.getOrInit('key', init, { ttl: '1s', staleWhileRevalidate: '1s' }));
  const note = (what) => seen.push(`${what} for ${storage.getStore()}`);
  const first = getAs('a', (signal) => {
    note('led');
    signal.addEventListener('abort', () => note('aborted'));
    return never();
  });
  const second = getAs('b', async () => {
    note('took over');
    return 1;
  });
  clock.advance('30s');
  await assert.rejects(first, sluiceError('TIMEOUT'));
  await second;
  clock.advance('1s');
  await getAs('c', async () => {
    note('refreshed');
    return 2;
  });
  await turn();
  assert.deepEqual(seen, ['led for a', 'aborted for a', 'took over for b', 'refreshed for c']);
});
