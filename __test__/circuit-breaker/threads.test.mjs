// One circuit in many threads: trials are counted over all of them, and come back with a thread that ends.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName, gate, runInAll, startPeers } from '../helpers/peer.mjs';
import { stopClock } from '../helpers/setup.mjs';

const { CircuitBreaker } = sluice;
const clock = stopClock();

const open = ({ load, state }, name) => {
  state.breaker = new (load().CircuitBreaker)(name);
  state.permits = [];
};

/** Takes every permit there is, `times` tries; how many it was given. */
const acquire = ({ meet, state }, { start, times }) => {
  if (start !== undefined) meet(start);
  let granted = 0;
  for (let i = 0; i < times; i++) {
    const permit = state.breaker.tryAcquire('db');
    if (permit === null) continue;
    state.permits.push(permit);
    granted += 1;
  }
  return granted;
};

async function shared(t, count, options) {
  const name = freshName();
  const breaker = new CircuitBreaker(name, {
    window: { calls: 4 },
    minimumCalls: 4,
    openFor: '1s',
    ...options,
  });
  const peers = startPeers(t, count);
  await runInAll(peers, open, name);
  return { breaker, peers };
}

function trip(breaker) {
  for (let i = 0; i < 4; i++) breaker.tryAcquire('db').failure();
  assert.equal(breaker.state('db'), 'open');
}

/** Waits for what another thread does in its own time. */
async function until(condition) {
  for (let turn = 0; !condition() && turn < 2000; turn++) await new Promise((done) => setTimeout(done, 5));
  assert.ok(condition(), String(condition));
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

for (const halfOpenCalls of [1, 5]) {
  test(`eight threads let go at once get exactly ${halfOpenCalls} trials, round after round`, async (t) => {
    const { breaker, peers } = await shared(t, 8, { halfOpenCalls });
    trip(breaker);
    for (let round = 0; round < 20; round++) {
      clock.advance('1s');
      const granted = await runInAll(peers, acquire, { start: gate(8), times: 50 });
      assert.equal(sum(granted), halfOpenCalls);
      await runInAll(peers, ({ state }) => {
        for (const permit of state.permits.splice(0)) permit.failure();
      });
      assert.deepEqual([breaker.state('db'), breaker.stats('db').openings], ['open', round + 2]);
    }
  });
}

test('the trials of a thread that is terminated come back, no more and no fewer', async (t) => {
  const { breaker, peers } = await shared(t, 3, { halfOpenCalls: 9 });
  trip(breaker);
  clock.advance('1s');
  const granted = [];
  for (const [index, times] of [2, 3, 4].entries()) {
    granted.push(await peers[index].run(acquire, { times }));
  }
  assert.deepEqual(granted, [2, 3, 4]);
  assert.equal(breaker.tryAcquire('db'), null);
  await peers[1].end();
  const permits = Array.from({ length: 10 }, () => breaker.tryAcquire('db')).filter(Boolean);
  assert.equal(permits.length, 3);
  for (const permit of permits) permit.success();
  await runInAll([peers[0], peers[2]], ({ state }) => {
    for (const permit of state.permits) permit.success();
  });
  assert.equal(breaker.state('db'), 'closed');
});

test('a thread that ends in the middle of a trial fire leaves its place', async (t) => {
  const { breaker, peers } = await shared(t, 1, { timeout: '1h' });
  trip(breaker);
  clock.advance('1s');
  await peers[0].run(({ state }) => {
    state.breaker.fire('db', () => new Promise(() => {}));
  });
  assert.deepEqual([breaker.state('db'), breaker.tryAcquire('db')], ['halfOpen', null]);
  await peers[0].end();
  breaker.tryAcquire('db').success();
  assert.equal(breaker.state('db'), 'closed');
});

test('reports of all threads count, and the one that reaches the rate opens the circuit for all', async (t) => {
  const { breaker, peers } = await shared(t, 4, { window: { calls: 8000 }, minimumCalls: 8000 });
  const report = ({ meet, state }, start) => {
    meet(start);
    for (let i = 0; i < 2000; i++) {
      const permit = state.breaker.tryAcquire('db');
      if (i % 2 === 0) permit.failure();
      else permit.success();
    }
  };
  await runInAll(peers, report, gate(4));
  const { successes, failures, opened } = breaker.stats();
  assert.deepEqual([successes, failures, opened], [4000, 4000, 1]);
  const states = await runInAll(peers, ({ state }) => state.breaker.state('db'));
  assert.deepEqual(states, ['open', 'open', 'open', 'open']);
});

test('every thread is told of every change, once and in order', async (t) => {
  const { breaker, peers } = await shared(t, 3);
  await runInAll(peers, ({ state }) => {
    state.told = [];
    for (const event of ['open', 'halfOpen', 'close']) {
      state.breaker.on(event, ({ peer, state: to }) => state.told.push(`${event} ${peer} ${to}`));
    }
  });
  const here = [];
  for (const event of ['open', 'halfOpen', 'close']) breaker.on(event, () => here.push(event));
  const expected = [];
  for (let round = 0; round < 20; round++) {
    trip(breaker);
    clock.advance('1s');
    breaker.tryAcquire('db').success();
    expected.push('open db open', 'halfOpen db halfOpen', 'close db closed');
  }
  await until(() => here.length === 60);
  const read = async ({ state }) => {
    while (state.told.length < 60) await new Promise(setImmediate);
    return state.told;
  };
  assert.deepEqual(await runInAll(peers, read), [expected, expected, expected]);
});

test('events that nobody takes out are dropped, and counted', async (t) => {
  const { breaker, peers } = await shared(t, 1);
  const words = new Int32Array(new SharedArrayBuffer(8));
  await peers[0].run(({ state }) => {
    state.told = [];
    state.breaker.on('close', (change) => state.told.push(change));
  });
  const blocked = peers[0].run((_, words) => {
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    Atomics.wait(words, 1, 0);
  }, words);
  await Atomics.waitAsync(words, 0, 0).value;
  for (let i = 0; i < 1000; i++) {
    breaker.isolate('db');
    breaker.reset('db');
  }
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
  await blocked;
  const told = await peers[0].run(async ({ state }) => {
    while (state.told.length < 512) await new Promise(setImmediate);
    return state.told;
  });
  assert.equal(told.length, 512);
  assert.equal(told[0].missed, 2000 - 1024);
  assert.ok(told.slice(1).every(({ missed }) => missed === undefined));
});

test('isolate, disable and reset are for all threads', async (t) => {
  const { breaker, peers } = await shared(t, 1);
  const passes = ({ state }) => state.breaker.tryAcquire('db') !== null;
  breaker.isolate('db');
  assert.equal(await peers[0].run(passes), false);
  await peers[0].run(({ state }) => state.breaker.reset('db'));
  assert.equal(breaker.state('db'), 'closed');
  breaker.disable('db');
  assert.equal(await peers[0].run(passes), true);
});
