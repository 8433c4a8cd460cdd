// Workers of a group: rolling restarts, scaling and closing.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { freshName } from '../helpers/peer.mjs';
import { until } from '../helpers/sockets.mjs';
import { end, FILE, next, open, record, stopClock, threads } from '../helpers/spawn.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('a rolling restart replaces every worker and loses no call', async (t) => {
  const { broker, spawn } = open(t);
  const group = await spawn({ count: 2, data: { serves: ['echo', 'threadId'] } });
  await until(() => broker.endpoints().length, 2);
  let isRunning = true;
  let answered = 0;
  const lanes = Array.from({ length: 50 }, async (_, lane) => {
    for (let call = 0; isRunning; call++) {
      assert.equal(await broker.call('echo', `${lane} ${call}`), `${lane} ${call}`);
      answered += 1;
    }
  });
  for (let round = 0; round < 3; round++) {
    const before = group.workers.map(({ threadId }) => threadId);
    await Promise.race([group.restart(), Promise.all(lanes)]);
    const after = group.workers.map(({ threadId }) => threadId);
    assert.equal(new Set([...before, ...after]).size, 4);
    assert.equal(threads, 2);
  }
  isRunning = false;
  await Promise.all(lanes);
  assert.ok(answered > 100, `${answered} calls`);
});

test('a successor that serves fewer endpoints does not replace a worker', async (t) => {
  const { broker, name } = open(t);
  const clock = stopClock(t);
  const workerData = { name, serves: ['echo', 'threadId'] };
  const group = await broker.spawn(FILE, { workerData, count: 2, startTimeout: '5s' });
  await until(() => broker.peers().filter(({ endpoints }) => endpoints.length === 2).length, 2);
  const before = group.workers;
  workerData.serves = ['echo'];
  const refused = assert.rejects(group.restart(), (error) => {
    assert.equal(error.code, 'ERR_SLUICE_SPAWN_FAILED');
    assert.match(error.message, /does not serve threadId/);
    return true;
  });
  await next(group, 'start');
  clock.advance('5s');
  await refused;
  assert.deepEqual(group.workers, before);
  assert.equal(threads, 2);
});

/**
 * A group of one whose worker has died while its successor starts; the successor is blocked at `gate[2]`. The clock stands
 * still, so that it is not too late.
 */
async function dieDuringRestart(t) {
  const clock = stopClock(t);
  const { broker, spawn } = open(t);
  const gate = new Int32Array(new SharedArrayBuffer(12));
  const group = await spawn({ data: { serves: ['end'], gate }, startTimeout: '5s' });
  await until(() => broker.endpoints().includes('end'), true);
  const [old] = group.workers;
  gate[2] = 1;
  const restarted = group.restart();
  await until(() => threads, 2);
  const died = next(group, 'exit');
  end(broker, old, 'exit');
  await died;
  const unblock = () => {
    gate[2] = 0;
    Atomics.notify(gate, 2);
  };
  return { clock, group, old, restarted, unblock };
}

test('a worker that dies while its successor starts is replaced by that successor', async (t) => {
  const { group, old, restarted, unblock } = await dieDuringRestart(t);
  unblock();
  await restarted;
  const [{ threadId, state, restarts }] = group.workers;
  assert.deepEqual({ state, restarts }, { state: 'up', restarts: 0 });
  assert.notEqual(threadId, old.threadId);
  assert.equal(threads, 1);
});

test('if the successor fails too, another worker is started after the back-off', async (t) => {
  const { clock, group, restarted, unblock } = await dieDuringRestart(t);
  const failed = assert.rejects(restarted, { code: 'ERR_SLUICE_SPAWN_FAILED' });
  const due = next(group, 'restart');
  clock.advance('5s');
  const { delayMs } = await due;
  await failed;
  unblock();
  const started = next(group, 'start');
  clock.advance(delayMs);
  await started;
  assert.deepEqual(
    group.workers.map(({ state, restarts }) => ({ state, restarts })),
    [{ state: 'up', restarts: 1 }],
  );
  assert.equal(threads, 1);
});

test('scale() adds and removes workers; a removed worker finishes its running requests', async (t) => {
  const { broker, spawn } = open(t);
  const gate = new Int32Array(new SharedArrayBuffer(8));
  const group = await spawn({ data: { serves: ['wait', 'echo'], gate } });
  await group.scale(3);
  assert.equal(group.workers.length, 3);
  const last = group.workers[2];
  await until(() => broker.peers().find(({ id }) => id === last.peerId).endpoints.length, 2);
  const answer = broker.call('wait', null, { to: last.peerId, timeout: '5m' });
  await until(() => gate[1], 1);
  const clock = stopClock(t);
  const shrunk = group.scale(2, { timeout: '2m' });
  await until(() => broker.peers().find(({ id }) => id === last.peerId)?.endpoints.length ?? 0, 0);
  assert.equal(group.workers[2].state, 'closing');
  // The timeout of scale() applies, not the shorter default of a broker that closes by itself.
  clock.advance('1m');
  // After these calls all workers, the removed one included, have received the new time.
  for (let turn = 0; turn < 100; turn++) await broker.call('echo', turn);
  gate[0] = 1;
  assert.equal(await answer, last.threadId);
  await shrunk;
  assert.deepEqual(
    group.workers.map(({ state }) => state),
    ['up', 'up'],
  );
  assert.equal(threads, 2);
  await assert.rejects(async () => group.scale(0), { code: 'ERR_SLUICE_INVALID_OPTION' });
});

test('a failed scale() leaves the group unchanged', async (t) => {
  const { broker, name } = open(t);
  const workerData = { name };
  const group = await broker.spawn(FILE, { workerData });
  workerData.fails = 'throw';
  await assert.rejects(group.scale(3), { code: 'ERR_SLUICE_SPAWN_FAILED' });
  assert.equal(group.workers.length, 1);
  assert.equal(threads, 1);
});

test('workers that have ended are garbage collected', () => {
  const name = freshName();
  const code = `
    const { Broker } = require('.');
    const broker = new Broker(${JSON.stringify(name)});
    const workers = [];
    process.on('worker', (worker) => workers.push(new WeakRef(worker)));
    const workerData = { name: ${JSON.stringify(name)}, serves: [] , stays: true };
    (async () => {
      const group = await broker.spawn(${JSON.stringify(FILE)}, { count: 2, workerData });
      for (let round = 0; round < 3; round++) await group.restart({ timeout: 0 });
      let kept;
      for (let turn = 0; turn < 500 && kept !== 2; turn++) {
        await new Promise(setImmediate);
        gc();
        kept = workers.filter((worker) => worker.deref() !== undefined).length;
      }
      console.log(workers.length, kept);
      await group.close({ timeout: 0 });
    })();`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '-e', code], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 300_000,
  });
  assert.deepEqual({ stdout, stderr }, { stdout: '8 2\n', stderr: '' });
});

test('close() ends all workers and terminates those still alive after the timeout', async (t) => {
  const { broker, spawn } = open(t);
  const clock = stopClock(t);
  const group = await spawn({ count: 2, data: { stays: true } });
  const { of } = record(group);
  const closed = group.close({ timeout: '5s' });
  await until(() => broker.peers().filter(({ id }) => id !== broker.id).length, 0);
  assert.equal(threads, 2);
  clock.advance('5s');
  await closed;
  assert.equal(threads, 0);
  assert.deepEqual(
    of('exit').map(({ asked }) => asked),
    [true, true],
  );
  assert.deepEqual(group.workers, []);
  for (const late of [() => group.scale(1), () => group.restart()]) {
    await assert.rejects(late, { code: 'ERR_SLUICE_CLOSED' });
  }
  await group.close();
});

test('close() during a restart ends the successors too', async (t) => {
  const { spawn } = open(t);
  const group = await spawn({ count: 2 });
  const restarted = assert.rejects(group.restart(), { code: 'ERR_SLUICE_CLOSED' });
  await new Promise(setImmediate);
  await group.close();
  await restarted;
  assert.equal(threads, 0);
});

test('close() while a dead worker is replaced starts no further worker', async (t) => {
  const { clock, group, restarted } = await dieDuringRestart(t);
  const { of } = record(group);
  const refused = assert.rejects(restarted, { code: 'ERR_SLUICE_CLOSED' });
  await group.close();
  await refused;
  assert.deepEqual([group.workers, threads], [[], 0]);
  clock.advance('1m');
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  assert.deepEqual([of('restart'), of('start'), threads], [[], [], 0]);
});

test('a group that closes during a replacement does not keep its process alive', () => {
  const name = freshName();
  const code = `
    const { Broker } = require('.');
    const { once } = require('node:events');
    const name = ${JSON.stringify(name)};
    const broker = new Broker(name);
    const gate = new Int32Array(new SharedArrayBuffer(12));
    (async () => {
      const workerData = { name, serves: ['end'], gate };
      const group = await broker.spawn(${JSON.stringify(FILE)}, { workerData, restart: { backoff: 1 } });
      while (!broker.endpoints().includes('end')) await new Promise(setImmediate);
      const started = once(process, 'worker');
      gate[2] = 1;
      group.restart().catch(({ code }) => console.log(code));
      await started;
      const died = new Promise((resolve) => group.once('exit', resolve));
      broker.call('end', 'exit').catch(() => {});
      await died;
      await group.close();
      console.log('closed', group.workers.length);
    })();`;
  const { stdout, stderr, signal } = spawnSync(process.execPath, ['-e', code], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 300_000,
  });
  assert.deepEqual(
    { stdout: stdout.trim().split('\n').sort(), stderr, signal },
    { stdout: ['ERR_SLUICE_CLOSED', 'closed 0'], stderr: '', signal: null },
  );
});

test('close() cancels a scheduled restart', async (t) => {
  const { broker, spawn } = open(t);
  const clock = stopClock(t);
  const group = await spawn({ data: { serves: ['end'] } });
  await until(() => broker.endpoints().includes('end'), true);
  const died = next(group, 'restart');
  end(broker, group.workers[0], 'exit');
  await died;
  await group.close();
  clock.advance('1m');
  await new Promise(setImmediate);
  assert.deepEqual([group.workers, threads], [[], 0]);
});

test('closing a broker closes its groups first', async (t) => {
  const { broker, spawn } = open(t);
  await spawn({ count: 2 });
  await spawn();
  assert.equal(threads, 3);
  await broker.close();
  assert.equal(threads, 0);
  await assert.rejects(async () => spawn(), { code: 'ERR_SLUICE_CLOSED' });
});

test('closing a broker while workers start ends those workers', async (t) => {
  const { broker, spawn } = open(t);
  const closed = assert.rejects(spawn({ count: 2 }), { code: 'ERR_SLUICE_CLOSED' });
  await broker.close();
  await closed;
  assert.equal(threads, 0);
});

test('a worker with workers of its own closes them before it leaves', async (t) => {
  const { name, broker } = open(t);
  const code = `
    const { workerData } = require('node:worker_threads');
    const { Broker } = require(${JSON.stringify(ROOT)});
    const broker = new Broker(workerData.name);
    broker.spawn(workerData.file, { workerData }).then(() => broker.handle('ready', () => {}));`;
  const group = await broker.spawn(code, { eval: true, workerData: { name, file: FILE } });
  await until(() => broker.endpoints().join(), 'echo,ready');
  const left = [];
  broker.on('peerLeave', ({ threadId }) => left.push(threadId));
  const { threadId } = group.workers[0];
  await group.close();
  await until(() => left.length, 2);
  assert.equal(left[1], threadId);
});
