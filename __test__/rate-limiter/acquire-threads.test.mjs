// RateLimiter.acquire over threads: one order, exact totals, threads that die. Uses a manual clock, except where noted.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import { freshName, Peer, runInAll, startPeers } from '../helpers/peer.mjs';
import { manualClock } from '../helpers/setup.mjs';

const { RateLimiter } = sluice;

const SPACED = { limit: 10, window: '1s', burst: 1, maxWaiting: 100_000 };

/** Deaths while a thread waits; a thousand with `npm run storm -- deaths`. */
const DEATHS = Number(process.env.SLUICE_STORM_DEATHS ?? 20);

/** Joins the line of "a" in a peer; what comes of it is kept in its `state`. */
const join = ({ load, state }, { name, id }) => {
  const { RateLimiter } = load();
  state.limiter ??= new RateLimiter(name);
  state.log ??= [];
  state.limiter.acquire('a', { timeout: Infinity }).then(
    ({ waitedMs }) => state.log.push([id, waitedMs]),
    (error) => state.log.push([id, error.code]),
  );
};

const logOf = async ({ state }) => {
  await new Promise((resolve) => setImmediate(resolve));
  return state.log;
};

/** Looks until what all peers have logged satisfies `isComplete`. */
async function logs(peers, isComplete) {
  for (;;) {
    const all = (await runInAll(peers, logOf)).flat();
    if (isComplete(all)) return all;
  }
}

test('threads stand in one line, and each call is charged at its millisecond', async (t) => {
  const clock = manualClock(t);
  const limiter = new RateLimiter(freshName(), SPACED);
  assert.equal(limiter.tryConsume('a'), true);
  const peers = startPeers(t, 3);
  for (let id = 1; id <= 9; id++) await peers[id % 3].run(join, { name: limiter.name, id });
  assert.equal(limiter.stats().waiting, 9);
  for (let served = 1; served <= 9; served++) {
    clock.advance(99);
    assert.equal((await logs(peers, () => true)).length, served - 1);
    clock.advance(1);
    const all = await logs(peers, (entries) => entries.length === served);
    assert.deepEqual(
      all.toSorted(([a], [b]) => a - b),
      Array.from({ length: served }, (_, index) => [index + 1, (index + 1) * 100]),
    );
  }
});

test('the calls of a thread that dies leave, and those of others move ahead', async (t) => {
  const clock = manualClock(t);
  const limiter = new RateLimiter(freshName(), SPACED);
  assert.equal(limiter.tryConsume('a'), true);
  const [dying, living] = startPeers(t, 2);
  for (let id = 1; id <= 50; id++) await dying.run(join, { name: limiter.name, id });
  await living.run(join, { name: limiter.name, id: 51 });
  const own = limiter.acquire('a');
  await dying.end();
  assert.equal(limiter.stats().waiting, 2);
  clock.advance(200);
  assert.equal((await own).waitedMs, 200);
  assert.deepEqual(await logs([living], (all) => all.length === 1), [[51, 200]]);
});

test(`after ${DEATHS} deaths while waiting nothing waits, and no unit is lost`, async (t) => {
  const clock = manualClock(t);
  const limiter = new RateLimiter(freshName(), SPACED);
  assert.equal(limiter.tryConsume('a'), true);
  const die = async () => {
    const peer = new Peer();
    await peer.run(join, { name: limiter.name, id: 0 });
    await peer.run(join, { name: limiter.name, id: 1 });
    await peer.end();
  };
  const own = limiter.acquire('a', { timeout: Infinity });
  for (let death = 0; death < DEATHS; death += 4) await Promise.all([die(), die(), die(), die()]);
  const last = limiter.acquire('a', { timeout: Infinity });
  const { waiting, allowed } = limiter.stats();
  assert.deepEqual([waiting, allowed], [2, 1]);
  clock.advance(200);
  assert.deepEqual([(await own).waitedMs, (await last).waitedMs], [200, 200]);
});

/** By the clock of the system: threads die at random moments. */
test('four threads share one quota exactly while half of them die', async (t) => {
  const quota = { limit: 500, window: '1s', burst: 1, maxWaiting: 100_000 };
  const limiter = new RateLimiter(freshName(), quota);
  const counted = new Int32Array(new SharedArrayBuffer(4));
  const begun = Date.now();
  const peers = Array.from({ length: 4 }, () => new Peer());
  t.after(() => Promise.all(peers.map((peer) => peer.end())));
  const work = ({ load }, { name, counted }) => {
    const { RateLimiter } = load();
    const limiter = new RateLimiter(name);
    for (let i = 0; i < 200; i++) {
      limiter.acquire('a', { timeout: Infinity }).then(() => Atomics.add(counted, 0, 1));
    }
  };
  await Promise.all(peers.map((peer) => peer.run(work, { name: limiter.name, counted })));
  await Promise.all(peers.slice(0, 2).map((peer) => peer.end()));
  // Those that live get all of their 400 calls, and with this one the line is empty.
  await limiter.acquire('a', { timeout: Infinity });
  const { allowed, waiting } = limiter.stats();
  const most = Math.floor((Date.now() + 1 - begun) / 2) + 1;
  assert.equal(waiting, 0);
  assert.ok(allowed <= most, `${allowed} of ${most} that the quota allows`);
  assert.ok(allowed >= 401, `${allowed}: 400 of the threads that live, and one here`);
  // Calls that were charged in a thread that died may not have been counted there.
  for (;;) {
    const done = Atomics.load(counted, 0);
    assert.ok(done <= allowed - 1);
    if (done >= 400) break;
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test('a thread that is busy delays only its own calls', async (t) => {
  const clock = manualClock(t);
  const limiter = new RateLimiter(freshName(), SPACED);
  assert.equal(limiter.tryConsume('a'), true);
  const [peer] = startPeers(t, 1);
  await peer.run(join, { name: limiter.name, id: 1 });
  const words = new Int32Array(new SharedArrayBuffer(8));
  const still = peer.run((_, words) => {
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
    Atomics.wait(words, 0, 0);
  }, words);
  await Atomics.waitAsync(words, 1, 0).value;
  const own = limiter.acquire('a');
  clock.advance(200);
  assert.equal((await own).waitedMs, 200);
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
  await still;
  assert.deepEqual(await logs([peer], (all) => all.length === 1), [[1, 200]]);
});

/** Joins the line of "a" and blocks until `words[0]` is 1; then the call leaves, before its thread looks at the clock. */
const standInLine = ({ load, state }, { name, words }) => {
  const { RateLimiter } = load();
  state.limiter = new RateLimiter(name);
  const controller = new AbortController();
  state.left = state.limiter.acquire('a', { signal: controller.signal }).catch(({ name }) => name);
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
  Atomics.wait(words, 0, 0);
  controller.abort();
};

for (const [end, leave] of Object.entries({
  'is aborted': async (peer, words, still) => {
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    await still;
    assert.equal(await peer.run(({ state }) => state.left), 'AbortError');
  },
  'ends with its thread': (peer) => peer.end(),
})) {
  test(`a call that ${end} after its moment is charged, though its key is not asked for again`, async (t) => {
    const clock = manualClock(t);
    const limiter = new RateLimiter(freshName(), { ...SPACED, maxWaiting: 1 });
    assert.equal(limiter.tryConsume('a'), true);
    const [peer] = startPeers(t, 1);
    const words = new Int32Array(new SharedArrayBuffer(8));
    const still = peer.run(standInLine, { name: limiter.name, words });
    await Atomics.waitAsync(words, 1, 0).value;
    assert.equal(limiter.stats().waiting, 1);
    clock.advance(150);
    await leave(peer, words, still);
    const { waiting, waited, allowed } = limiter.stats();
    assert.deepEqual([waiting, waited, allowed], [0, 1, 2]);
  });
}

test('destroy ends the waiting in every thread', async (t) => {
  manualClock(t);
  const limiter = new RateLimiter(freshName(), SPACED);
  assert.equal(limiter.tryConsume('a'), true);
  const peers = startPeers(t, 2);
  await runInAll(peers, join, { name: limiter.name, id: 1 });
  RateLimiter.destroy(limiter.name);
  const all = await logs(peers, (entries) => entries.length === 2);
  assert.deepEqual(all, [
    [1, 'ERR_SLUICE_CLOSED'],
    [1, 'ERR_SLUICE_CLOSED'],
  ]);
});

/** By the clock of the system. */
test('a call that waits keeps its thread alive, and nothing does after it', async () => {
  const code = `
    const { RateLimiter } = require(${JSON.stringify(fileURLToPath(new URL('../..', import.meta.url)))});
    const limiter = new RateLimiter(${JSON.stringify(freshName())}, { limit: 20, window: '1s', burst: 1 });
    limiter.tryConsume('a');
    limiter.acquire('a').then(() => require('node:worker_threads').parentPort.postMessage('charged'));
  `;
  const worker = new Worker(code, { eval: true });
  const [[message], [exitCode]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  assert.deepEqual([message, exitCode], ['charged', 0]);
});
