// Connections that a fleet counts together: caps over processes and threads, and what ends with a process or a thread.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import {
  CLIENT,
  connected,
  fleet,
  OTHER,
  open,
  rowsOf,
  startProcess,
  until,
} from '../helpers/connecting.mjs';
import { freshName } from '../helpers/peer.mjs';
import { startProxy, startRedis, withRedis } from '../helpers/redis.mjs';
import { startCluster } from '../helpers/redis-groups.mjs';

const { ConnectionTracker } = sluice;

/** Fails when the script judges by anything but the sums over all processes, or when calls of one process overlap. */
test(
  'three processes with two threads each open what the caps allow, and not one more',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    const name = freshName();
    const options = { max: 20, maxPerClient: 7, scope: fleet(redis.url) };
    const processes = await Promise.all(
      [1, 2, 3].map(() => startProcess(t, { name, options, threadCount: 2 })),
    );
    const clients = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
    const all = () =>
      Promise.all(processes.map((process) => process.call('inThreads', 'open', 9, ...clients)));
    const opened = (await all()).flat();
    const byClient = clients.map((_, client) => opened.reduce((sum, counts) => sum + counts[client], 0));
    assert.equal(
      byClient.reduce((sum, count) => sum + count, 0),
      20,
    );
    assert.ok(
      byClient.every((count) => count <= 7),
      `${byClient}`,
    );
    assert.equal(
      (await all()).flat(2).reduce((sum, count) => sum + count, 0),
      0,
      'all are taken',
    );

    for (const process of processes) await process.call('inThreads', 'closeAll');
    await until(async () => (await rowsOf(redis, name)) === 0);
    assert.match(await redis.command('KEYS', `*${name}*:c:*`), /^\*0/, 'no client is left');
  },
);

/** A number on the server is raised after each opening, and lowered before each close: it never shows more than are open. */
test('connections that come and go never exceed the cap', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const options = { maxPerClient: 3, scope: fleet(redis.url) };
  const processes = await Promise.all(
    [1, 2, 3].map(() => startProcess(t, { name, options, threadCount: 2 })),
  );
  const task = { port: redis.port, forMs: 5000, client: CLIENT };
  const runs = (
    await Promise.all(processes.map((process) => process.call('inThreads', 'churn', task)))
  ).flat();
  const most = Math.max(...runs.map((run) => run.most));
  assert.ok(most <= 3, `${most} at once`);
  assert.ok(
    runs.every(({ admitted }) => admitted > 0),
    'each thread had its turn',
  );
  await until(async () => (await rowsOf(redis, name)) === 0);
});

test(
  'what a killed process held counts until its lease ends, and what a live one holds goes on',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    const name = freshName();
    const leaseMs = 4000;
    const task = { name, options: { maxPerClient: 2, scope: fleet(redis.url) }, leaseMs };
    const [dying, living, asking] = await Promise.all([1, 2, 3].map(() => startProcess(t, task)));
    assert.deepEqual(await dying.call('open', 1, CLIENT), [1]);
    assert.deepEqual(await living.call('open', 1, CLIENT), [1]);
    await dying.kill();
    assert.deepEqual(await asking.call('open', 1, CLIENT), [0], 'it may only be slow');
    await until(async () => (await asking.call('open', 1, CLIENT))[0] === 1);
    // Two leases later the process that lives has said again what it holds.
    await delay(2 * leaseMs);
    assert.deepEqual(await asking.call('open', 1, CLIENT), [0]);
    assert.equal(await rowsOf(redis, name), 48, 'two processes');
  },
);

test('a destroyed tracker gives back at once what it held', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const options = { max: 1, scope: fleet(redis.url) };
  const other = await startProcess(t, { name, options });
  const tracker = await open(t, options, name);
  assert.notEqual(await tracker.tryOpenAsync(CLIENT), null);
  assert.deepEqual(await other.call('open', 1, CLIENT), [0]);
  ConnectionTracker.destroy(name);
  // It waits for the server, though not for long.
  await connected(redis, 1);
  assert.deepEqual(await other.call('open', 1, CLIENT), [1]);
  await assert.rejects(tracker.tryOpenAsync(CLIENT), { code: 'ERR_SLUICE_CLOSED' });
});

/** Fails when places stay at the server that were granted to calls of the tracker while it was destroyed. */
test('a tracker that is destroyed while calls are pending leaves nothing', withRedis, async (t) => {
  const redis = await startRedis(t);
  const options = { max: 100, scope: fleet(redis.url) };
  const tracker = await open(t, options);
  const pending = Array.from({ length: 50 }, () => tracker.tryOpenAsync(CLIENT));
  ConnectionTracker.destroy(tracker.name);
  for (const { status, reason } of await Promise.allSettled(pending)) {
    if (status === 'rejected') assert.equal(reason.code, 'ERR_SLUICE_CLOSED');
  }
  await connected(redis, 0);
  const next = await open(t, options, tracker.name);
  const opened = await Promise.all(Array.from({ length: 100 }, () => next.tryOpenAsync(CLIENT)));
  assert.equal(opened.filter(Boolean).length, 100);
});

test('stats say what the fleet has, and what this process holds', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const options = { max: 3, maxPerClient: 2, scope: fleet(redis.url) };
  const other = await startProcess(t, { name, options });
  await other.call('open', 1, OTHER);
  const tracker = await open(t, options, name);
  await tracker.tryOpenAsync(CLIENT);
  await tracker.tryOpenAsync(CLIENT);
  assert.equal(await tracker.tryOpenAsync(CLIENT), null);
  assert.equal(await tracker.tryOpenAsync(OTHER), null);
  const { count, opened, refused, fleet: shared } = tracker.stats();
  assert.deepEqual({ count, opened }, { count: 2, opened: 2 });
  assert.deepEqual(refused, { max: 1, maxPerClient: 1, opens: 0, banned: 0 });
  const { state, held, decisions, local, failures } = shared;
  assert.deepEqual({ state, held, all: shared.count }, { state: 'ready', held: 2, all: 3 });
  assert.deepEqual({ decisions, local, timeout: failures.timeout }, { decisions: 4, local: 0, timeout: 0 });
});

test('synchronous calls are errors that name their twin', withRedis, async (t) => {
  const redis = await startRedis(t);
  const tracker = await open(t, { max: 1, scope: fleet(redis.url) });
  assert.throws(() => tracker.tryOpen(CLIENT), {
    code: 'ERR_SLUICE_UNSUPPORTED',
    message: /^tryOpen: a synchronous call cannot await Redis.*; accepted: tryOpenAsync$/,
  });
  await assert.rejects(tracker.tryOpenAsync('no address'), { code: 'ERR_SLUICE_INVALID_ADDRESS' });
  await assert.rejects(tracker.tryOpenAsync(CLIENT, { ids: 1 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
  const connection = await tracker.tryOpenAsync(CLIENT, { id: 'one', detail: { n: 1 } });
  assert.deepEqual([connection.id, connection.detail], ['one', { n: 1 }]);
  await assert.rejects(new ConnectionTracker(tracker.name).ready({ timeout: 0 }), {
    code: 'ERR_SLUICE_INVALID_OPTION',
  });
  const attached = new ConnectionTracker(tracker.name);
  assert.throws(() => attached.tryOpen(CLIENT), { code: 'ERR_SLUICE_UNSUPPORTED' }, 'without options too');
  connection.close();
  await assert.doesNotReject(attached.tryOpenAsync(CLIENT, { id: 'one' }));
});

test('an id that is taken gives its place back', withRedis, async (t) => {
  const redis = await startRedis(t);
  const tracker = await open(t, { max: 2, scope: fleet(redis.url) });
  await tracker.tryOpenAsync(CLIENT, { id: 'one' });
  await assert.rejects(tracker.tryOpenAsync(CLIENT, { id: 'one' }), { code: 'ERR_SLUICE_DUPLICATE_ID' });
  assert.notEqual(await tracker.tryOpenAsync(CLIENT, { id: 'two' }), null);
});

/** Fails when what a thread has asked for, or was granted and has not seen, outlives it. */
test('a worker that is terminated while it asks leaves nothing', withRedis, async (t) => {
  const redis = await startRedis(t);
  const proxy = await startProxy(t, redis.port);
  const tracker = await open(t, { max: 4, scope: fleet(proxy.url) });
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { ConnectionTracker } = require(workerData.sluice);
    const tracker = new ConnectionTracker(workerData.name);
    tracker.tryOpenAsync('10.0.0.1').then(() => {
      parentPort.postMessage('opened');
      for (let n = 0; n < 3; n++) tracker.tryOpenAsync('10.0.0.2');
    });
  `;
  const workerData = { name: tracker.name, sluice: new URL('../../index.js', import.meta.url).pathname };
  const worker = new Worker(code, { eval: true, workerData });
  await new Promise((resolve) => worker.once('message', resolve));
  proxy.delayMs = 200;
  await redis.until((reply) => reply.includes(':24'), 'STRLEN', `sluice:1c:{c:${tracker.name}}:c:10.0.0.2`);
  await worker.terminate();
  proxy.delayMs = 0;
  await until(async () => (await rowsOf(redis, tracker.name)) === 0);
  const opened = await Promise.all([1, 2, 3, 4, 5].map(() => tracker.tryOpenAsync(CLIENT)));
  assert.equal(opened.filter(Boolean).length, 4);
});

test('a reset of tests gives back what is held, and trackers go on', withRedis, async (t) => {
  const redis = await startRedis(t);
  const proxy = await startProxy(t, redis.port);
  const options = { max: 1, scope: fleet(proxy.url) };
  const tracker = await open(t, options);
  await tracker.tryOpenAsync(CLIENT);
  proxy.delayMs = 300;
  const pending = tracker.tryOpenAsync(CLIENT);
  testing.reset();
  await assert.rejects(pending, { code: 'ERR_SLUICE_CLOSED' });
  await until(async () => (await rowsOf(redis, tracker.name)) === 0);
  proxy.delayMs = 0;
  assert.notEqual(await tracker.tryOpenAsync(CLIENT), null);
  assert.equal(await new ConnectionTracker(tracker.name, options).tryOpenAsync(CLIENT), null);
  testing.reset();
  const alone = new ConnectionTracker(tracker.name, { max: 1 });
  assert.notEqual(alone.tryOpen(CLIENT), null, 'another scope may follow');
  assert.equal(tracker.stats().fleet, undefined);
});

test(
  'a cluster keeps a tracker on one node, which each process finds, also once it has moved',
  withRedis,
  async (t) => {
    const cluster = await startCluster(t);
    const name = freshName();
    const of = (n) => ({ max: 3, scope: fleet({ nodes: [cluster.urls[n]] }) });
    const [first, second] = await Promise.all([0, 1].map((n) => startProcess(t, { name, options: of(n) })));
    assert.deepEqual(await first.call('open', 2, CLIENT), [2]);
    assert.deepEqual(await second.call('open', 2, OTHER), [1]);
    const key = `sluice:1c:{c:${name}}:all`;
    const slot = await cluster.slotOf(key);
    const from = await cluster.ownerOf(slot);
    const to = cluster.nodes.find((node) => node !== from);
    assert.equal(await from.number('STRLEN', key), 48);
    await cluster.move(slot, from, to);
    assert.deepEqual(await first.call('open', 1, CLIENT), [0]);
    await first.call('closeAll');
    await until(async () => (await to.number('STRLEN', key)) === 24);
    assert.deepEqual(await second.call('open', 3, CLIENT), [2]);
  },
);

/** Fails when the node that a moving slot is imported by is taken for its owner: it names the other in turn. */
test('while a slot moves the connection stays, and onError decides', withRedis, async (t) => {
  const cluster = await startCluster(t);
  const scope = fleet({ nodes: [cluster.urls[0]] }, { onError: 'allow' });
  const tracker = await open(t, { max: 9, scope });
  (await tracker.tryOpenAsync(CLIENT)).close();
  const key = `sluice:1c:{c:${tracker.name}}:all`;
  const slot = await cluster.slotOf(key);
  const from = await cluster.ownerOf(slot);
  const to = cluster.nodes.find((node) => node !== from);
  await until(async () => (await from.number('STRLEN', key)) === 0);
  const { connections } = tracker.stats().fleet;
  let hasBegun = false;
  await cluster.move(slot, from, to, async () => {
    if (hasBegun) return;
    hasBegun = true;
    const opened = await Promise.all([CLIENT, OTHER].map((client) => tracker.tryOpenAsync(client)));
    assert.ok(opened.every((connection) => connection !== null));
    await delay(500);
    assert.equal(tracker.stats().fleet.connections, connections);
    assert.equal(tracker.stats().fleet.failures.refused, 2);
  });
  await until(async () => (await to.number('STRLEN', key)) === 24);
  // The row is there before the answer that tells of it: what was opened meanwhile.
  await until(() => tracker.stats().fleet.count === 2);
});
