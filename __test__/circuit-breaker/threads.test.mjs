// One circuit in many threads: trials are counted across all threads, and those of a thread that ends are freed.
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

/** Calls tryAcquire `times` times, keeps the permits and returns their number. */
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

/** Polls until another thread has brought `condition` about. */
async function until(condition) {
  for (let turn = 0; !condition() && turn < 2000; turn++) await new Promise((done) => setTimeout(done, 5));
  assert.ok(condition(), String(condition));
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

for (const halfOpenCalls of [1, 5]) {
  test(`eight threads at once get exactly ${halfOpenCalls} of halfOpenCalls trials, in each of 20 rounds`, async (t) => {
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

test('a terminated thread frees exactly its own trials', async (t) => {
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

test('a thread that ends during a trial call frees that trial', async (t) => {
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

test('outcomes of all threads count together; reaching the rate opens the circuit for all', async (t) => {
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

test('every thread receives every event, once and in order', async (t) => {
  const { breaker, peers } = await shared(t, 3);
  await runInAll(peers, ({ state }) => {
    state.events = [];
    for (const event of ['open', 'halfOpen', 'close']) {
      state.breaker.on(event, ({ peer, state: to }) => state.events.push(`${event} ${peer} ${to}`));
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
    while (state.events.length < 60) await new Promise(setImmediate);
    return state.events;
  };
  assert.deepEqual(await runInAll(peers, read), [expected, expected, expected]);
});

test('a blocked thread keeps the newest 1024 events; the first reports how many it missed', async (t) => {
  const { breaker, peers } = await shared(t, 1);
  const words = new Int32Array(new SharedArrayBuffer(8));
  await peers[0].run(({ state }) => {
    state.events = [];
    state.breaker.on('close', (change) => state.events.push(change));
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
  const events = await peers[0].run(async ({ state }) => {
    while (state.events.length < 512) await new Promise(setImmediate);
    return state.events;
  });
  assert.equal(events.length, 512);
  assert.equal(events[0].missed, 2000 - 1024);
  assert.ok(events.slice(1).every(({ missed }) => missed === undefined));
});

test('isolate(), disable() and reset() apply to all threads', async (t) => {
  const { breaker, peers } = await shared(t, 1);
  const passes = ({ state }) => state.breaker.tryAcquire('db') !== null;
  breaker.isolate('db');
  assert.equal(await peers[0].run(passes), false);
  await peers[0].run(({ state }) => state.breaker.reset('db'));
  assert.equal(breaker.state('db'), 'closed');
  breaker.disable('db');
  assert.equal(await peers[0].run(passes), true);
});
