// Workers that a broker spawns: start-up, and restarts after they die.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { freshName } from '../helpers/peer.mjs';
import { unboundedHeaps, unboundedStacks } from '../helpers/runtimes.mjs';
import { until } from '../helpers/sockets.mjs';
import { end, FILE, next, open, record, stopClock, threads } from '../helpers/spawn.mjs';

/** Just enough for a worker to start. */
const SMALL_HEAP = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 };
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NOWHERE = fileURLToPath(new URL('../helpers/nowhere.cjs', import.meta.url));

test('spawn resolves once all workers have joined; each is a peer that answers', async (t) => {
  const { broker, spawn } = open(t);
  const group = await spawn({ count: 3, data: { serves: ['threadId'] } });
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
    assert.equal(await broker.call('threadId', null, { to: peerId }), threadId);
  }
});

test('spawn passes the options of a Worker on: eval, env and argv', async (t) => {
  const { name, broker } = open(t);
  const code = `const { Broker } = require(${JSON.stringify(fileURLToPath(new URL('../..', import.meta.url)))});
    new Broker(${JSON.stringify(name)}).handle('given', () => [process.env.GIVEN, process.argv[2]]);`;
  await broker.spawn(code, { eval: true, env: { GIVEN: 'by spawn' }, argv: ['one'] });
  await until(() => broker.endpoints().includes('given'), true);
  assert.deepEqual(await broker.call('given', null), ['by spawn', 'one']);
});

for (const [name, unbounded] of [
  ['maxOldGenerationSizeMb', unboundedHeaps],
  ['stackSizeMb', unboundedStacks],
]) {
  test(`${name} bounds a worker, or spawn refuses it`, async (t) => {
    const { spawn } = open(t);
    const spawned = spawn({ resourceLimits: { [name]: 64 } });
    if (!unbounded) {
      assert.equal((await spawned).workers.length, 1);
      return;
    }
    await assert.rejects(spawned, {
      code: 'ERR_SLUICE_UNSUPPORTED',
      message: new RegExp(`^spawn resourceLimits ${name}: \\S+ \\S+ does not bound it, given 64; accepted: `),
    });
  });
}

const FAILURES = {
  'a file that does not exist': { file: NOWHERE, message: /nowhere\.cjs" .*Cannot find module/, cause: true },
  'a worker that throws': { data: { fails: 'throw' }, message: /the worker ends with this/, cause: true },
  'a worker that exits': { data: { fails: 'exit' }, message: /ended with code 0 before it joined/ },
  'a worker that exits with a code': { data: { fails: 'exit with a code' }, message: /ended with code 3/ },
  'a worker that runs out of memory': {
    data: { fails: 'out of memory' },
    resourceLimits: SMALL_HEAP,
    message: /memory/,
    cause: true,
  },
  'a worker that never joins': {
    data: { name: 'another broker', stays: true },
    startTimeout: 300,
    message: /did not join within 300 ms/,
  },
  'a path that Node.js does not accept': {
    file: 'not/absolute.js',
    message: /absolute\.js" could not be started/,
    cause: true,
  },
};

for (const [title, { file = FILE, data, message, cause = false, ...options }] of Object.entries(FAILURES)) {
  const skip = data?.fails === 'out of memory' && unboundedHeaps;
  test(`spawn rejects for ${title} and leaves no thread`, { skip }, async (t) => {
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

test('invalid options reject', async (t) => {
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
  const skip = way === 'out of memory' && unboundedHeaps;
  test(`a worker that dies is restarted: ${way}`, { skip }, async (t) => {
    const { broker, spawn } = open(t);
    const group = await spawn({
      data: { serves: ['end'] },
      resourceLimits: unboundedHeaps ? undefined : SMALL_HEAP,
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

test('the back-off doubles with each death in a row up to maxBackoff, and resets after a long life', async (t) => {
  const { broker, spawn } = open(t);
  const clock = stopClock(t);
  const restart = { limit: 100, backoff: 100, maxBackoff: 400 };
  const group = await spawn({ data: { serves: ['end'] }, restart });
  const delays = [];
  const dieAndReturn = async () => {
    const [worker] = group.workers;
    await until(() => broker.endpoints().includes('end'), true);
    const died = next(group, 'restart');
    end(broker, worker, 'exit');
    const { delayMs } = await died;
    delays.push(delayMs);
    assert.equal(group.workers[0].state, 'restarting');
    const started = next(group, 'start');
    clock.advance(delayMs);
    await started;
  };
  for (let death = 0; death < 5; death++) await dieAndReturn();
  assert.deepEqual(delays, [100, 200, 400, 400, 400]);
  clock.advance(400);
  await dieAndReturn();
  assert.equal(delays.at(-1), 100);
  assert.equal(group.workers[0].restarts, 6);
});

test('a group stops restarting after `limit` restarts in `window`; its other workers keep running', async (t) => {
  const { broker, spawn } = open(t);
  const clock = stopClock(t);
  const restart = { limit: 2, window: '1m', backoff: 1 };
  const group = await spawn({ count: 2, data: { serves: ['end', 'echo'] }, restart });
  const { of } = record(group);
  const die = async (event) => {
    const emitted = next(group, event);
    const worker = group.workers[0];
    await until(() => broker.peers().find(({ id }) => id === worker.peerId)?.endpoints.length, 2);
    end(broker, worker, 'exit with a code');
    return emitted;
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
  // The first restart is no longer in the window.
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

test('with `restart: false` a dead worker is not replaced', async (t) => {
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

test('a death without an "exit" listener emits a warning', async (t) => {
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
  ['a group keeps its process alive', true],
  ["a group that is unref'd does not keep its process alive", false],
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
    const ended = spawnSync(process.execPath, ['-e', code], {
      cwd: ROOT,
      encoding: 'utf8',
      timeout: 300_000,
    });
    assert.deepEqual(
      { status: ended.status, stdout: ended.stdout, stderr: ended.stderr },
      { status: 0, stdout: isRef ? 'up\nclosed\n' : 'up\n', stderr: '' },
    );
  });
}
