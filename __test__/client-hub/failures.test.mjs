// ClientHub: back-off of refreshes, retryAfter and staleIfError after failures; ttl as a function of the value.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import sluice from '../../index.js';
import { freshName, Peer, runInAll, startPeers } from '../helpers/peer.mjs';
import { stopClock } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const { ClientHub } = sluice;
const clock = stopClock();

const is = (expected) => (error) => error === expected;
const down = new RangeError('the upstream is down');
const unused = () => assert.fail('this initialiser must not run');
const never = () => new Promise(() => {});

/** An initialiser that fails and counts its runs. */
function failing(error = down) {
  const init = async () => {
    init.runs += 1;
    throw error;
  };
  return Object.assign(init, { runs: 0 });
}

/** A hub whose value of `key` has just passed its ttl. */
async function stale(options) {
  const hub = new ClientHub(freshName());
  const times = { ttl: '1s', ...options };
  await hub.getOrInit('key', () => 'old', times);
  clock.advance('1s');
  return { hub, times };
}

test('a failed refresh is retried with a back-off that doubles from 1 s to 30 s, however often it is read', async () => {
  const { hub, times } = await stale({ staleWhileRevalidate: '1h' });
  const fail = failing();
  const runsAt = [];
  for (let tenths = 0; tenths < 2400; tenths++) {
    const before = fail.runs;
    for (let read = 0; read < 5; read++) assert.equal(await hub.getOrInit('key', fail, times), 'old');
    await turn();
    if (fail.runs > before) runsAt.push(tenths / 10);
    assert.ok(fail.runs - before <= 1);
    clock.advance(100);
  }
  const pauses = runsAt.slice(1).map((at, index) => at - runsAt[index]);
  // Jitter shortens a pause by a fifth at most; the test reads every 100 ms.
  for (const [index, longest] of [1, 2, 4, 8, 16, 30, 30, 30].entries()) {
    assert.ok(pauses[index] >= longest * 0.8 - 0.1 && pauses[index] <= longest + 0.1, `${pauses}`);
  }
  assert.deepEqual([fail.runs, hub.stats().failures], [runsAt.length, runsAt.length]);
  clock.advance('30s');
  await hub.getOrInit('key', () => 'new', times);
  await turn();
  assert.equal(hub.get('key'), 'new');
  clock.advance('1s');
  await hub.getOrInit('key', fail, times);
  await turn();
  const { runs } = fail;
  clock.advance('1s');
  await hub.getOrInit('key', fail, times);
  await turn();
  assert.equal(fail.runs, runs + 1, 'a successful refresh resets the back-off');
});

test('a refresh past its timeout counts as failed', async () => {
  const { hub, times } = await stale({ staleWhileRevalidate: '1h', timeout: '2s' });
  let runs = 0;
  const hang = () => {
    runs += 1;
    return never();
  };
  const read = async () => {
    assert.equal(await hub.getOrInit('key', hang, times), 'old');
    await turn();
    return runs;
  };
  assert.equal(await read(), 1);
  clock.advance('2s');
  await turn();
  assert.deepEqual([await read(), await read()], [1, 1]);
  clock.advance('1s');
  assert.equal(await read(), 2);
  clock.advance('2s');
  await turn();
  const { timeouts, initialising } = hub.stats();
  assert.deepEqual([timeouts, initialising], [2, 0]);
});

test('without a stale value a failure is remembered for retryAfter only', async () => {
  const hub = new ClientHub(freshName());
  const fail = failing();
  for (let runs = 1; runs <= 3; runs++) {
    await assert.rejects(hub.getOrInit('key', fail, { retryAfter: 0 }), is(down));
    assert.equal(fail.runs, runs);
  }
  await assert.rejects(hub.getOrInit('key', fail, { retryAfter: '5s' }), is(down));
  clock.advance(4999);
  for (let reads = 0; reads < 100; reads++) {
    await assert.rejects(hub.getOrInit('key', unused), is(down));
  }
  assert.equal(hub.get('key'), undefined);
  const { rejected, remembered, misses } = hub.stats();
  assert.deepEqual({ rejected, remembered, misses }, { rejected: 100, remembered: 1, misses: 4 });
  clock.advance(1);
  assert.equal(await hub.getOrInit('key', () => 'up'), 'up');
  assert.equal(hub.stats().remembered, 0);
});

test('invalidate() drops a remembered failure; an AbortError is not remembered', async () => {
  const hub = new ClientHub(freshName());
  await assert.rejects(hub.getOrInit('key', failing(), { retryAfter: '5s' }), is(down));
  assert.equal(hub.invalidate('key'), false, 'there was no value');
  assert.equal(await hub.getOrInit('key', () => 'up'), 'up');

  const abort = new DOMException('the client of one call went away', 'AbortError');
  await assert.rejects(hub.getOrInit('other', failing(abort), { retryAfter: '5s' }), is(abort));
  assert.equal(await hub.getOrInit('other', () => 'up'), 'up');
});

test('a timeout is remembered for retryAfter too', async () => {
  const hub = new ClientHub(freshName());
  const call = hub.getOrInit('key', never, { timeout: '1s', retryAfter: '5s' });
  clock.advance('1s');
  const error = await call.catch((error) => error);
  assert.equal(error.code, 'ERR_SLUICE_TIMEOUT');
  await assert.rejects(hub.getOrInit('key', unused), is(error));
});

test('retryAfter holds in every thread, even after the thread that failed has ended', async (t) => {
  const name = freshName();
  const hub = new ClientHub(name);
  const [first, ...others] = startPeers(t, 3);
  const ask = async ({ load, state }, { name, retryAfter }) => {
    state.hub ??= new (load().ClientHub)(name);
    const init = async () => {
      state.runs = (state.runs ?? 0) + 1;
      throw Object.assign(new RangeError('down'), { code: 'EDOWN' });
    };
    const error = await state.hub.getOrInit('key', init, { retryAfter }).catch((error) => error);
    return [error.name, error.message, error.code, state.runs ?? 0];
  };
  const options = { name, retryAfter: 60_000 };
  assert.deepEqual(await first.run(ask, options), ['RangeError', 'down', 'EDOWN', 1]);
  await first.end();
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(await runInAll(others, ask, options), Array(2).fill(['RangeError', 'down', 'EDOWN', 0]));
  }
  const [error, again] = await Promise.all(
    [1, 2].map(() => hub.getOrInit('key', unused).catch((error) => error)),
  );
  assert.deepEqual([error.name, error === again], ['RangeError', true], 'one error object per thread');
  clock.advance('1m');
  assert.equal(await hub.getOrInit('key', () => 'up'), 'up');
});

test('staleIfError serves the old value, from the end of its ttl, if making a new one fails', async () => {
  const { hub, times } = await stale({ staleIfError: '10s' });
  const fail = failing();
  const calls = [1, 2, 3].map(() => hub.getOrInit('key', fail, times));
  assert.deepEqual(await Promise.all(calls), ['old', 'old', 'old']);
  assert.deepEqual([fail.runs, hub.stats().failures], [1, 1]);
  // During the back-off the old value is served at once.
  clock.advance(500);
  assert.equal(await hub.getOrInit('key', unused, times), 'old');
  clock.advance(500);
  const waiting = hub.getOrInit('key', () => 'new', times);
  assert.equal(await waiting, 'new', 'after the back-off the call waits for the new value');
  clock.advance('1s');
  const slow = [1, 2].map(() => hub.getOrInit('key', never, { ...times, timeout: '2s' }));
  clock.advance('2s');
  assert.deepEqual(await Promise.all(slow), ['new', 'new'], 'a timeout counts as a failure');
  clock.advance('8s');
  await assert.rejects(hub.getOrInit('key', fail, times), is(down));
});

test('staleIfError continues after staleWhileRevalidate ends', async () => {
  const { hub, times } = await stale({ staleWhileRevalidate: '2s', staleIfError: '10s' });
  clock.advance('2s');
  const fail = failing();
  assert.equal(await hub.getOrInit('key', fail, times), 'old');
  clock.advance('8s');
  await assert.rejects(hub.getOrInit('key', fail, { retryAfter: '5s' }), is(down));
  await assert.rejects(hub.getOrInit('key', unused), is(down));
});

test('a client returns the live object of the value served by staleIfError', async () => {
  const hub = new ClientHub(freshName());
  const options = { ttl: '1s', staleIfError: '10s', revive: (value) => ({ value }) };
  let init = () => 'old';
  const client = hub.client('key', () => init(), options);
  const live = await client.get();
  clock.advance('1s');
  init = failing();
  assert.equal(client.value, undefined, 'a call would make a new value');
  assert.equal(await client.get(), live);
  assert.equal(client.value, live);
});

test('pending calls of all threads get the value served by staleIfError', async (t) => {
  const name = freshName();
  const hub = new ClientHub(name);
  const times = { ttl: '1s', staleIfError: '1h' };
  await hub.getOrInit('key', () => ({ made: 'long ago' }), times);
  clock.advance('1s');
  const peers = startPeers(t, 3);
  let fail;
  const own = hub.getOrInit('key', () => new Promise((_, reject) => (fail = reject)), times);
  const asked = runInAll(
    peers,
    async ({ load, state }, name) => {
      state.hub = new (load().ClientHub)(name);
      return (await state.hub.getOrInit('key', () => 'not made')).made;
    },
    name,
  );
  await until(() => hub.stats().waiting, 3);
  fail(down);
  assert.deepEqual([(await own).made, ...(await asked)], Array(4).fill('long ago'));
  assert.equal(hub.stats().initialising, 0);
});

test('the end of a thread neither counts as a failure nor cancels the back-off', async (t) => {
  const name = freshName();
  const hub = new ClientHub(name);
  const times = { ttl: '1s', staleWhileRevalidate: '1h' };
  await hub.getOrInit('key', () => 'old', times);
  clock.advance('1s');
  const refresh = async ({ load }, { name, times, hangs }) => {
    const hub = new (load().ClientHub)(name);
    const init = () => (hangs ? new Promise(() => {}) : Promise.reject(new Error('down')));
    const value = await hub.getOrInit('key', init, times);
    await new Promise(setImmediate);
    return value;
  };
  const [hanging, failing] = [new Peer(), new Peer()];
  t.after(() => Promise.all([hanging.end(), failing.end()]));
  assert.equal(await hanging.run(refresh, { name, times, hangs: true }), 'old');
  assert.equal(hub.stats().initialising, 1);
  await hanging.end();
  assert.deepEqual([hub.stats().initialising, hub.stats().failures], [0, 0]);
  assert.equal(await failing.run(refresh, { name, times, hangs: false }), 'old');
  assert.equal(hub.stats().failures, 1, 'the end of a thread is not a failure and starts no back-off');
  await failing.end();
  for (let reads = 0; reads < 100; reads++) assert.equal(await hub.getOrInit('key', unused, times), 'old');
  await turn();
  const { initialisations, failures } = hub.stats();
  assert.deepEqual([initialisations, failures], [3, 1], 'the back-off outlives the thread that started it');
  clock.advance('1s');
  await hub.getOrInit('key', () => 'new', times);
  await turn();
  assert.equal(hub.get('key'), 'new');
});

test('over real sockets: reads of a stale value send few requests to an upstream that is down', async (t) => {
  let requests = 0;
  const upstream = http.createServer((_, res) => {
    requests += 1;
    // No request meets a connection that the server closes as idle.
    res.writeHead(requests === 1 ? 200 : 503, { connection: 'close' }).end('plan');
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.after(() => upstream.close());
  const url = `http://127.0.0.1:${upstream.address().port}/`;
  const name = freshName();
  const hub = new ClientHub(name);
  const peers = startPeers(t, 2);
  const read = async ({ load, state }, { name, url, times }) => {
    state.hub ??= new (load().ClientHub)(name);
    const init = async () => {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`status ${response.status}`);
      return response.text();
    };
    const values = new Set();
    for (let i = 0; i < 50; i++) {
      values.add(await state.hub.getOrInit('plan', init, times));
      if (i % 10 === 0) await new Promise(setImmediate);
    }
    return [...values];
  };
  const options = { name, url, times: { ttl: '1s', staleWhileRevalidate: '1h' } };
  assert.deepEqual(await runInAll(peers, read, options), [['plan'], ['plan']]);
  for (let second = 0; second < 10; second++) {
    clock.advance('1s');
    assert.deepEqual(await runInAll(peers, read, options), [['plan'], ['plan']]);
    await until(() => hub.stats().initialising, 0);
  }
  // At 1, 2, 4 and 8 s; jitter may bring the last one forward by a second.
  assert.equal(requests, 5);
});

test('ttl and staleWhileRevalidate may be functions of the value', async () => {
  const hub = new ClientHub(freshName());
  const token = (name, expiresAt) => async () => ({ name, expiresAt });
  const options = {
    ttl: ({ expiresAt }) => expiresAt - clock.now,
    staleWhileRevalidate: ({ name }) => (name === 'first' ? '1s' : 0),
  };
  await hub.getOrInit('token', token('first', clock.now + 2500.7), options);
  clock.advance(2499);
  assert.equal(hub.get('token').name, 'first');
  clock.advance(1);
  assert.equal((await hub.getOrInit('token', token('second', clock.now + 1000), options)).name, 'first');
  await turn();
  assert.equal(hub.get('token').name, 'second');
  clock.advance(1000);
  assert.equal((await hub.getOrInit('token', token('third', clock.now + 1000), options)).name, 'third');
});

test('a ttl function that returns 0 or less serves pending calls only; Infinity keeps the value', async () => {
  const hub = new ClientHub(freshName());
  for (const time of [0, -5, 0.5, Number.NEGATIVE_INFINITY]) {
    const calls = [1, 2].map(() => hub.getOrInit('key', () => 'made', { ttl: () => time }));
    assert.deepEqual(await Promise.all(calls), ['made', 'made']);
    assert.deepEqual([hub.get('key'), hub.stats().entries], [undefined, 0]);
  }
  await hub.getOrInit('key', () => 'made', { ttl: () => Number.POSITIVE_INFINITY });
  clock.advance('365d');
  assert.equal(hub.get('key'), 'made');
});

test('a ttl function that does not return a duration rejects the call; nothing is kept', async () => {
  const hub = new ClientHub(freshName());
  for (const answer of [undefined, null, Number.NaN, 'soon', {}, Promise.resolve(5)]) {
    await assert.rejects(
      hub.getOrInit('key', () => 'made', { ttl: () => answer }),
      { code: 'ERR_SLUICE_INVALID_OPTION', message: /^what ttl returned is .*accepted: milliseconds/ },
    );
    assert.equal(hub.get('key'), undefined);
  }
  const swr = { ttl: '1s', staleWhileRevalidate: () => Number.POSITIVE_INFINITY };
  await assert.rejects(
    hub.getOrInit('key', () => 'made', swr),
    { code: 'ERR_SLUICE_INVALID_OPTION', message: /^what staleWhileRevalidate returned/ },
  );
});

test('invalid retryAfter and staleIfError are errors', async () => {
  const hub = new ClientHub(freshName());
  const mistakes = [
    { retryAfter: -1 },
    { retryAfter: () => 5 },
    { staleIfError: 0 },
    { staleIfError: '1 s' },
  ];
  for (const options of mistakes) {
    await assert.rejects(hub.getOrInit('key', never, options), { code: 'ERR_SLUICE_INVALID_OPTION' });
    assert.throws(() => hub.client('key', never, options), { code: 'ERR_SLUICE_INVALID_OPTION' });
  }
});
