// Everything that a thread holds is released when it ends, in any way and at any moment.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { unboundedHeaps } from '../helpers/runtimes.mjs';

const THREADS = 200;

/** Ends a child process that hangs. */
const MOST_MS = 500_000;

/** Runs a script of `helpers/` in a new process. */
async function run(script, ...args) {
  const file = fileURLToPath(new URL(`../helpers/${script}`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { timeout: MOST_MS, killSignal: 'SIGKILL' });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => (stdout += text));
  child.stderr.on('data', (text) => (stderr += text));
  const [code, signal] = await once(child, 'close');
  return { code, signal, stdout, stderr };
}

/** The ways of ending, with the exit codes and errors that Node.js may report for each. */
const WAYS = {
  return: ['0'],
  // 0 if the worker had not started.
  terminate: ['0', '1'],
  exit: ['0'],
  error: ['1 the thread ends with this'],
  memory: ['1 ERR_WORKER_OUT_OF_MEMORY'],
};

for (const [way, reports] of Object.entries(WAYS)) {
  const skip = way === 'memory' && unboundedHeaps;
  test(`${THREADS} threads that end by ${way} release everything`, { skip }, async () => {
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
        line: 0,
        waiting: 0,
        initialising: 0,
        permits: [0, 0, 0],
        members: ['0'],
        broker: [1, 0, 0, 0],
      },
      context,
    );
    assert.deepEqual(Object.keys(ends), reports, context);
    assert.ok(opened > THREADS / 4 && worked, context);
  });
}

test('a process whose threads hold connections exits with its own exit code', async () => {
  for (let i = 0; i < 5; i++) {
    const { code, signal, stderr } = await run('exiting-process.cjs');
    assert.deepEqual({ code, signal, stderr }, { code: 7, signal: null, stderr: '' });
  }
});

test('several copies of the package in one thread share its state and release it once', async () => {
  const { code, signal, stdout, stderr } = await run('loading-process.cjs');
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  assert.deepEqual(JSON.parse(stdout), {
    admitted: [true, true, false],
    count: 2,
    changes: 2,
    errors: { ownCode: 'ERR_SLUICE_INVALID_KEY', isOwn: true, isOther: false, perLoad: 20 },
    afterWorker: { count: 2, opened: 42, perThread: { 0: 2 } },
  });
});
