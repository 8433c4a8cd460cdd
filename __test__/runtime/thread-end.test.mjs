// Whatever a thread held is given back when it ends, in whichever way and at whichever moment.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const THREADS = 200;

/** A net for what hangs. */
const MOST_MS = 500_000;

/** Runs a script of `helpers/` in a process of its own, which has to end by itself. */
async function run(script, ...args) {
  const file = fileURLToPath(new URL(`../helpers/${script}`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { timeout: MOST_MS, killSignal: 'SIGKILL' });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => (stdout += text));
  child.stderr.on('data', (text) => (stderr += text));
  const [code, signal] = await once(child, 'close');
  return { code, signal, stdout, stderr };
}

/** The way of ending, and how Node reports it. */
const WAYS = {
  return: ['0'],
  // 0 where it had not begun.
  terminate: ['0', '1'],
  exit: ['0'],
  error: ['1 the thread ends with this'],
  memory: ['1 ERR_WORKER_OUT_OF_MEMORY'],
};

for (const [way, reports] of Object.entries(WAYS)) {
  test(`${THREADS} threads that end by ${way} leave nothing behind`, async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const { code, signal, stdout, stderr } = await run(
      'ending-process.cjs',
      JSON.stringify([way, THREADS, seed]),
    );
    const context = `seed ${seed}\n${stdout}\n${stderr}`;
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, context);
    const { ends, opened, worked, ...left } = JSON.parse(stdout);
    assert.deepEqual(
      left,
      {
        open: 0,
        perThread: {},
        clients: [0, 0, 0, 0, 0],
        drained: true,
        left: 0,
        trials: 0,
        waiting: 0,
        initialising: 0,
        members: ['0'],
        broker: [1, 0, 0, 0],
      },
      context,
    );
    assert.deepEqual(Object.keys(ends), reports, context);
    assert.ok(opened > THREADS / 4 && worked, context);
  });
}

test('a process that exits while its threads hold connections exits with its code', async () => {
  for (let i = 0; i < 5; i++) {
    const { code, signal, stderr } = await run('exiting-process.cjs');
    assert.deepEqual({ code, signal, stderr }, { code: 7, signal: null, stderr: '' });
  }
});

test('several loads in one thread share its state and give it back once', async () => {
  const { code, signal, stdout, stderr } = await run('loading-process.cjs');
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  assert.deepEqual(JSON.parse(stdout), {
    admitted: [true, true, false],
    count: 2,
    told: 2,
    errors: { ownCode: 'ERR_SLUICE_INVALID_KEY', isOwn: true, isOther: false, perLoad: 20 },
    afterWorker: { count: 2, opened: 42, perThread: { 0: 2 } },
  });
});
