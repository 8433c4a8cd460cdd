// Workers that a broker spawns: how they start, die, are replaced and leave.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import sluice from '../index.js';
import testing from '../lib/testing.js';
import { freshName } from './helpers/peer.mjs';
import { until } from './helpers/sockets.mjs';

const { Broker } = sluice;
/** Enough to start with. */
const SMALL_HEAP = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 };
const FILE = fileURLToPath(new URL('helpers/spawned-worker.cjs', import.meta.url));
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NOWHERE = fileURLToPath(new URL('helpers/nowhere.cjs', import.meta.url));

/** Threads of this process that have started and not ended. */
let threads = 0;
process.on('worker', (worker) => {
  threads += 1;
  worker.once('exit', () => {
    threads -= 1;
  });
});

/** A broker that closes with the test, and all its groups with it. */
function open(t) {
  const name = freshName();
  const broker = new Broker(name);
  t.after(async () => {
    await broker.close({ timeout: 0 });
    assert.equal(threads, 0, 'no thread is left');
  });
  const spawn = ({ data, ...options } = {}) =>
    broker.spawn(FILE, { workerData: { name, ...data }, ...options });
  return { name, broker, spawn };
}

function stopClock(t) {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  return clock;
}

/** Everything that the group tells, as it comes. */
function record(group) {
  const told = [];
  for (const event of ['start', 'exit', 'restart', 'failed']) {
    group.on(event, (what) => told.push({ event, what }));
  }
  return { told, of: (event) => told.filter((one) => one.event === event).map(({ what }) => what) };
}

const next = (group, event) => new Promise((resolve) => group.once(event, resolve));

/** Has a worker end itself, in the way named. */
function end(broker, { peerId }, way) {
  broker.call('end', way, { to: peerId }).catch(() => {});
}

test('resolves when all workers have joined; each has a peer that answers', async (t) => {
  const { broker, spawn } = open(t);
  const group = await spawn({ count: 3, data: { serves: ['who'] } });
  const { workers } = group;
  assert.deepEqual(
    workers.map(({ state, restarts }) => ({ state, restarts })),
    Array(3).fill({ state: 'up', restarts: 0 }),
  );
  const peers = broker.peers();
  for (const { threadId, peerId, startedAt } of workers) {
    assert.equal(peers.find(({ id }) => id === peerId).threadId, threadId);
    assert.ok(Number.isInteger(startedAt) && Math.abs(Date.now() - startedAt) < 60_000);
    await until(() => broker.peers().find(({ id }) => id === peerId).endpoints.length, 1);
    assert.equal(await broker.call('who', null, { to: peerId }), threadId);
  }
});

test('a worker has the options of a Worker: its data, environment and arguments', async (t) => {
  const { name, broker } = open(t);
  const code = `const { Broker } = require(${JSON.stringify(fileURLToPath(new URL('..', import.meta.url)))});
    new Broker(${JSON.stringify(name)}).handle('given', () => [process.env.GIVEN, process.argv[2]]);`;
  await broker.spawn(code, { eval: true, env: { GIVEN: 'by the starter' }, argv: ['one'] });
  await until(() => broker.endpoints().includes('given'), true);
  assert.deepEqual(await broker.call('given', null), ['by the starter', 'one']);
});

const FAILURES = {
  'a file that does not exist': { file: NOWHERE, message: /nowhere\.cjs" .*Cannot find module/, cause: true },
  'one that throws': { data: { fails: 'throw' }, message: /the worker ends with this/, cause: true },
  'one that exits': { data: { fails: 'exit' }, message: /ended with code 0 before it joined/ },
  'one that exits with a code': { data: { fails: 'exit with a code' }, message: /ended with code 3/ },
  'one that runs out of memory': {
    data: { fails: 'out of memory' },
    resourceLimits: SMALL_HEAP,
    message: /memory/,
    cause: true,
  },
  'one that never joins': {
    data: { name: 'another broker', stays: true },
    startTimeout: 300,
    message: /did not join within 300 ms/,
  },
  'what Node does not start': {
    file: 'not/absolute.js',
    message: /absolute\.js" could not be started/,
    cause: true,
  },
};

for (const [title, { file = FILE, data, message, cause = false, ...options }] of Object.entries(FAILURES)) {
  test(`rejects for ${title}, and leaves no thread`, async (t) => {
    const { name, broker } = open(t);
    await assert.rejects(
      broker.spawn(file, { count: 3, workerData: { name, ...data }, ...options }),
      (error) => {
        assert.equal(error.code, 'ERR_SLUICE_SPAWN_FAILED');
        assert.match(error.message, message);
        assert.equal(error.cause instanceof Error, cause);
        return true;
      },
    );
    assert.equal(threads, 0);
    assert.equal(broker.peers().filter(({ id }) => id !== broker.id).length, 0);
  });
}

test('options that are none are refused', async (t) => {
  const { broker } = open(t);
  for (const [file, options] of [
    ['', {}],
    [5, {}],
    [FILE, null],
    [FILE, { count: 0 }],
    [FILE, { count: 1025 }],
    [FILE, { startTimeout: 0 }],
    [FILE, { restart: true }],
    [FILE, { restart: { limit: 0 } }],
    [FILE, { restart: { window: 0 } }],
    [FILE, { restart: { backoff: '1s', maxBackoff: '500ms' } }],
    [FILE, { restart: { often: true } }],
  ]) {
    await assert.rejects(broker.spawn(file, options), { code: 'ERR_SLUICE_INVALID_OPTION' });
  }
  assert.equal(threads, 0);
});

for (const way of ['exit', 'exit with a code', 'throw', 'end quietly', 'out of memory']) {
  test(`a worker that ends unasked is started again: ${way}`, async (t) => {
    const { broker, spawn } = open(t);
    const group = await spawn({
      data: { serves: ['end'] },
      resourceLimits: SMALL_HEAP,
      restart: { backoff: 1 },
    });
    const { of } = record(group);
    const [before] = group.workers;
    await until(() => broker.endpoints().includes('end'), true);
    end(broker, before, way);
    await next(group, 'start');
    const [after] = group.workers;
    assert.deepEqual({ state: after.state, restarts: after.restarts }, { state: 'up', restarts: 1 });
    assert.notEqual(after.threadId, before.threadId);
    const { threadId, peerId, asked, error } = of('exit')[0];
    assert.deepEqual(
      { threadId, peerId, asked },
      { threadId: before.threadId, peerId: before.peerId, asked: false },
    );
    assert.equal(error !== undefined, way === 'throw' || way === 'out of memory');
    assert.deepEqual(
      of('restart').map(({ threadId, delayMs }) => ({ threadId, delayMs })),
      [{ threadId: before.threadId, delayMs: 1 }],
    );
  });
}

test('each death in a row doubles the wait, to the most; one after a long life begins anew', async (t) => {
  const { broker, spawn } = open(t);
  const clock = stopClock(t);
  const restart = { limit: 100, backoff: 100, maxBackoff: 400 };
  const group = await spawn({ data: { serves: ['end'] }, restart });
  const waits = [];
  const dieAndReturn = async () => {
    const [worker] = group.workers;
    await until(() => broker.endpoints().includes('end'), true);
    const died = next(group, 'restart');
    end(broker, worker, 'exit');
    const { delayMs } = await died;
    waits.push(delayMs);
    assert.equal(group.workers[0].state, 'restarting');
    const started = next(group, 'start');
    clock.advance(delayMs);
    await started;
  };
  for (let death = 0; death < 5; death++) await dieAndReturn();
  assert.deepEqual(waits, [100, 200, 400, 400, 400]);
  clock.advance(400);
  await dieAndReturn();
  assert.equal(waits.at(-1), 100);
  assert.equal(group.workers[0].restarts, 6);
});

test('a group gives up after `limit` restarts in `window`; who is up goes on', async (t) => {
  const { broker, spawn } = open(t);
  const clock = stopClock(t);
  const restart = { limit: 2, window: '1m', backoff: 1 };
  const group = await spawn({ count: 2, data: { serves: ['end', 'echo'] }, restart });
  const { of } = record(group);
  const die = async (event) => {
    const told = next(group, event);
    const worker = group.workers[0];
    await until(() => broker.peers().find(({ id }) => id === worker.peerId)?.endpoints.length, 2);
    end(broker, worker, 'exit with a code');
    return told;
  };
  const dieAndReturn = async () => {
    const { delayMs } = await die('restart');
    const started = next(group, 'start');
    clock.advance(delayMs);
    await started;
  };
  await dieAndReturn();
  clock.advance('30s');
  await dieAndReturn();
  // The first of them is no longer in the window.
  clock.advance('31s');
  await dieAndReturn();
  const error = await die('failed');
  assert.equal(error.code, 'ERR_SLUICE_SPAWN_FAILED');
  assert.match(error.message, /at most 2 restarts in 60000 ms/);
  assert.deepEqual(
    group.workers.map(({ state }) => state),
    ['up'],
  );
  await die('exit');
  assert.equal(of('failed').length, 1);
  assert.deepEqual(group.workers, []);
});

test('with `restart: false` nobody is started again', async (t) => {
  const { broker, spawn } = open(t);
  const group = await spawn({ count: 2, data: { serves: ['end'] }, restart: false });
  const { of } = record(group);
  await until(() => broker.endpoints().includes('end'), true);
  const gone = next(group, 'exit');
  end(broker, group.workers[0], 'throw');
  assert.equal((await gone).error.message, 'the worker ends with this');
  assert.equal(group.workers.length, 1);
  assert.deepEqual([of('restart'), of('failed')], [[], []]);
});

test('a rolling restart replaces every worker and loses no call', async (t) => {
  const { broker, spawn } = open(t);
  const group = await spawn({ count: 2, data: { serves: ['echo', 'who'] } });
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

test('a successor that does not serve as much replaces nobody', async (t) => {
  const { broker, name } = open(t);
  const clock = stopClock(t);
  const workerData = { name, serves: ['echo', 'who'] };
  const group = await broker.spawn(FILE, { workerData, count: 2, startTimeout: '5s' });
  await until(() => broker.peers().filter(({ endpoints }) => endpoints.length === 2).length, 2);
  const before = group.workers;
  workerData.serves = ['echo'];
  const refused = assert.rejects(group.restart(), (error) => {
    assert.equal(error.code, 'ERR_SLUICE_SPAWN_FAILED');
    assert.match(error.message, /does not serve who/);
    return true;
  });
  await next(group, 'start');
  clock.advance('5s');
  await refused;
  assert.deepEqual(group.workers, before);
  assert.equal(threads, 2);
});

/** A group of one whose worker has died while its successor, which is held up by `gate[2]`, starts. */
async function dieDuringRestart(t) {
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
  const letGo = () => {
    gate[2] = 0;
    Atomics.notify(gate, 2);
  };
  return { group, old, restarted, letGo };
}

test('a worker that dies while its successor starts is followed by that one', async (t) => {
  const { group, old, restarted, letGo } = await dieDuringRestart(t);
  letGo();
  await restarted;
  const [{ threadId, state, restarts }] = group.workers;
  assert.deepEqual({ state, restarts }, { state: 'up', restarts: 0 });
  assert.notEqual(threadId, old.threadId);
  assert.equal(threads, 1);
});

test('where the successor fails as well, another is started after the back-off', async (t) => {
  const clock = stopClock(t);
  const { group, restarted, letGo } = await dieDuringRestart(t);
  const failed = assert.rejects(restarted, { code: 'ERR_SLUICE_SPAWN_FAILED' });
  const due = next(group, 'restart');
  clock.advance('5s');
  const { delayMs } = await due;
  await failed;
  letGo();
  const started = next(group, 'start');
  clock.advance(delayMs);
  await started;
  assert.deepEqual(
    group.workers.map(({ state, restarts }) => ({ state, restarts })),
    [{ state: 'up', restarts: 1 }],
  );
  assert.equal(threads, 1);
});

test('the group grows and shrinks; who leaves finishes what runs', async (t) => {
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
  // It has as long as the group waits, not as long as a broker that closes by itself.
  clock.advance('1m');
  // The other workers have heard of the time by then, and so has this one.
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

test('workers that cannot be added leave the group as it was', async (t) => {
  const { broker, name } = open(t);
  const workerData = { name };
  const group = await broker.spawn(FILE, { workerData });
  workerData.fails = 'throw';
  await assert.rejects(group.scale(3), { code: 'ERR_SLUICE_SPAWN_FAILED' });
  assert.equal(group.workers.length, 1);
  assert.equal(threads, 1);
});

test('of a worker that has ended nothing is kept', () => {
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
      for (let turn = 0; turn < 10; turn++) {
        await new Promise(setImmediate);
        gc();
      }
      const kept = workers.filter((worker) => worker.deref() !== undefined).length;
      console.log(workers.length, kept);
      await group.close({ timeout: 0 });
    })();`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '-e', code], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.deepEqual({ stdout, stderr }, { stdout: '8 2\n', stderr: '' });
});

test('closing ends all; one that something keeps alive is terminated after the timeout', async (t) => {
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

test('closing during a restart ends the successors too', async (t) => {
  const { spawn } = open(t);
  const group = await spawn({ count: 2 });
  const restarted = assert.rejects(group.restart(), { code: 'ERR_SLUICE_CLOSED' });
  await new Promise(setImmediate);
  await group.close();
  await restarted;
  assert.equal(threads, 0);
});

test('closing while a restart is due cancels it', async (t) => {
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

test('a broker that closes has its groups leave first', async (t) => {
  const { broker, spawn } = open(t);
  await spawn({ count: 2 });
  await spawn();
  assert.equal(threads, 3);
  await broker.close();
  assert.equal(threads, 0);
  await assert.rejects(async () => spawn(), { code: 'ERR_SLUICE_CLOSED' });
});

test('a broker that closes while workers start leaves none', async (t) => {
  const { broker, spawn } = open(t);
  const closed = assert.rejects(spawn({ count: 2 }), { code: 'ERR_SLUICE_CLOSED' });
  await broker.close();
  await closed;
  assert.equal(threads, 0);
});

test('a worker that has workers of its own has them leave first', async (t) => {
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

test('a death that nobody listens for is a warning', async (t) => {
  const { broker, spawn } = open(t);
  const group = await spawn({ data: { serves: ['end'] }, restart: { backoff: 1 } });
  await until(() => broker.endpoints().includes('end'), true);
  const warned = once(process, 'warning');
  const started = next(group, 'start');
  end(broker, group.workers[0], 'throw');
  const [warning] = await warned;
  assert.equal(warning.code, 'SLUICE_WORKER_DIED');
  assert.match(warning.detail, /the worker ends with this/);
  await started;
});

for (const [title, isRef] of [
  ['a process goes on while its workers do', true],
  ["a process ends beside a group that is unref'd", false],
]) {
  test(title, () => {
    const name = freshName();
    const code = `
      const { Broker } = require('.');
      const broker = new Broker(${JSON.stringify(name)});
      const workerData = { name: ${JSON.stringify(name)} };
      broker.spawn(${JSON.stringify(FILE)}, { workerData, restart: false }).then((group) => {
        ${isRef ? 'setTimeout(() => group.close().then(() => console.log("closed")), 200).unref();' : 'group.unref();'}
        console.log('up');
      });`;
    const ended = spawnSync(process.execPath, ['-e', code], { cwd: ROOT, encoding: 'utf8', timeout: 30_000 });
    assert.deepEqual(
      { status: ended.status, stdout: ended.stdout, stderr: ended.stderr },
      { status: 0, stdout: isRef ? 'up\nclosed\n' : 'up\n', stderr: '' },
    );
  });
}
