// One semaphore over threads: exact bounds, one order, threads that end or are suspended.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import { freshName, gate, Peer, runInAll, startPeers } from '../helpers/peer.mjs';
import { until } from '../helpers/sockets.mjs';

const { Semaphore } = sluice;

/** Threads that end while they hold and wait. `ending-worker.cjs` ends a thousand in all ways. */
const DEATHS = 40;

const words = (count) => new Int32Array(new SharedArrayBuffer(4 * count));

const attach = ({ load, state }, name) => {
  state.semaphore = new (load().Semaphore)(name);
};

/** A semaphore that `count` threads have attached to. */
async function shared(t, permits, count) {
  const name = freshName();
  const semaphore = new Semaphore(name, { permits });
  const peers = startPeers(t, count);
  await runInAll(peers, attach, name);
  return { name, semaphore, peers };
}

test('four threads never hold more than the permits, and each run ends', async (t) => {
  const { semaphore, peers } = await shared(t, 3, 4);
  const counts = words(2);
  const work = async ({ meet, state }, { start, counts }) => {
    meet(start);
    const job = async () => {
      const running = Atomics.add(counts, 0, 1) + 1;
      if (running > 3) Atomics.add(counts, 1, 1);
      await new Promise(setImmediate);
      Atomics.sub(counts, 0, 1);
    };
    const jobs = Array.from({ length: 250 }, () => state.semaphore.run(job));
    await Promise.all(jobs);
  };
  await runInAll(peers, work, { start: gate(4), counts });
  assert.deepEqual([...counts], [0, 0]);
  const { held, waiting, keys, acquired, refused } = semaphore.stats();
  assert.deepEqual([held, waiting, keys, acquired, refused], [0, 0, 0, 1000, 0]);
});

test('a mutex over four threads makes reading and writing one step', async (t) => {
  const { peers } = await shared(t, 1, 4);
  const total = words(1);
  const add = async ({ meet, state }, { start, total }) => {
    meet(start);
    for (let round = 0; round < 200; round++) {
      const permit = await state.semaphore.acquire();
      const before = total[0];
      await new Promise(setImmediate);
      total[0] = before + 1;
      permit.release();
    }
  };
  await runInAll(peers, add, { start: gate(4), total });
  assert.equal(total[0], 800);
});

test('calls of all threads form one line', async (t) => {
  const { semaphore, peers } = await shared(t, 1, 3);
  const queue = ({ state }, { log, number }) => {
    state.waits ??= [];
    const wait = state.semaphore.acquire().then((permit) => {
      log[Atomics.add(log, 0, 1) + 1] = number;
      permit.release();
    });
    state.waits.push(wait);
  };
  const serve = async () => {
    const held = semaphore.tryAcquire();
    const log = words(10);
    for (let number = 1; number <= 9; number++) {
      await peers[(number * 2) % 3].run(queue, { log, number });
    }
    held.release();
    await runInAll(peers, ({ state }) => Promise.all(state.waits));
    return [...log];
  };
  let before;
  let log;
  // A thread that a busy machine suspends for 10 ms is passed over: the order is that of a round without one.
  do {
    before = semaphore.stats().takenBack;
    log = await serve();
  } while (semaphore.stats().takenBack > before);
  assert.deepEqual(log, [9, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

// That its call keeps its place is tested in crates/core: here a busy machine may suspend any thread for 10 ms.
test('a suspended thread does not hold up those behind it, and is served once it goes on', async (t) => {
  const { semaphore, peers } = await shared(t, 1, 2);
  const [suspended, next] = peers;
  const held = semaphore.tryAcquire();
  const gates = words(1);
  const waitAndSuspend = async ({ state }, gates) => {
    const wait = state.semaphore.run(() => Atomics.load(gates, 0));
    Atomics.wait(gates, 0, 0);
    return wait;
  };
  const resumed = suspended.run(waitAndSuspend, gates);
  await until(() => semaphore.stats().waiting, 1);
  const served = next.run(({ state }, gates) => state.semaphore.run(() => Atomics.load(gates, 0)), gates);
  await until(() => semaphore.stats().waiting, 2);
  const last = semaphore.run(() => Atomics.load(gates, 0));
  held.release();
  assert.deepEqual([await served, await last], [0, 0], 'both run while the first thread is suspended');
  const { waiting, takenBack } = semaphore.stats();
  assert.equal(waiting, 1);
  assert.ok(takenBack >= 1);

  Atomics.store(gates, 0, 1);
  Atomics.notify(gates, 0);
  assert.equal(await resumed, 1);
  await until(() => semaphore.stats().keys, 0);
});

test('a suspended thread that waits alone does not refuse others', async (t) => {
  const { semaphore, peers } = await shared(t, 1, 1);
  const held = semaphore.tryAcquire();
  const gates = words(1);
  const resumed = peers[0].run(async ({ state }, gates) => {
    const wait = state.semaphore.acquire();
    Atomics.wait(gates, 0, 0);
    (await wait).release();
  }, gates);
  await until(() => semaphore.stats().waiting, 1);
  held.release();
  const permit = await semaphore.acquire();
  Atomics.store(gates, 0, 1);
  Atomics.notify(gates, 0);
  permit.release();
  await resumed;
  assert.equal(semaphore.stats().keys, 0);
});

test(`${DEATHS} threads that end while they hold and wait return everything`, async (t) => {
  const name = freshName();
  const semaphore = new Semaphore(name, { permits: 4 });
  const survivor = startPeers(t, 1)[0];
  await survivor.run(attach, name);
  const begin = ({ load, state }, name) => {
    state.semaphore = new (load().Semaphore)(name);
    // The waits end with the thread.
    for (let n = 0; n < 5; n++) state.semaphore.acquire({ permits: 1 + (n % 3) }).catch(() => {});
  };
  const work = survivor.run(async ({ state }) => {
    for (let round = 0; round < 60; round++) {
      const permit = await state.semaphore.acquire({ permits: 1 + (round % 4), timeout: '2m' });
      await new Promise(setImmediate);
      permit.release();
    }
  });
  for (let round = 0; round < DEATHS / 4; round++) {
    const peers = Array.from({ length: 4 }, () => new Peer());
    await runInAll(peers, begin, name);
    await Promise.all(peers.map((peer) => peer.end()));
  }
  await work;
  const { held, waiting, keys, perThread } = semaphore.stats();
  assert.deepEqual([held, waiting, keys, perThread], [0, 0, 0, {}]);
});

test('a call that waits keeps its thread alive, and its permits end with the thread', async () => {
  const name = freshName();
  const semaphore = new Semaphore(name, { permits: 1 });
  const held = semaphore.tryAcquire();
  const code = `
    const { Semaphore } = require(${JSON.stringify(fileURLToPath(new URL('../../index.js', import.meta.url)))});
    new Semaphore(${JSON.stringify(name)}).acquire().then(() => require('node:worker_threads').parentPort.postMessage('has it'));
  `;
  const worker = new Worker(code, { eval: true });
  const [exited, messaged] = [once(worker, 'exit'), once(worker, 'message')];
  await until(() => semaphore.stats().waiting, 1);
  held.release();
  assert.deepEqual(await messaged, ['has it']);
  assert.deepEqual(await exited, [0]);
  assert.deepEqual([semaphore.stats().held, semaphore.stats().keys], [0, 0]);
});

test('destroy in one thread ends the waits of all', async (t) => {
  const { name, semaphore, peers } = await shared(t, 1, 3);
  semaphore.tryAcquire();
  const waits = runInAll(peers, ({ state }) => state.semaphore.acquire().catch(({ code }) => code));
  await until(() => semaphore.stats().waiting, 3);
  Semaphore.destroy(name);
  assert.deepEqual(await waits, Array(3).fill('ERR_SLUICE_CLOSED'));
});
