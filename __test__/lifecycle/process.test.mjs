// A process that shuts down: on signals, and by itself when nothing keeps it alive.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('../helpers/signalled-process.cjs', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Starts node. `lines` holds its printed lines, `printed(line)` waits for one, `ended` is its exit. */
function start(...args) {
  const child = spawn(process.execPath, args, { cwd: root, timeout: 60_000, killSignal: 'SIGKILL' });
  const run = { child, lines: [], stderr: '' };
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
    run.lines = text.split('\n').slice(0, -1);
    child.emit('line');
  });
  child.stderr.on('data', (chunk) => (run.stderr += chunk));
  run.ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stderr: run.stderr }));
  run.printed = async (line) => {
    while (!run.lines.includes(line)) await once(child, 'line');
  };
  return run;
}

const signalled = (work, options, more = {}) =>
  start(FILE, JSON.stringify({ name: 'signalled', work, options, ...more }));
const exited = (code) => ({ code, signal: null, stderr: '' });

const RUNS = [
  ['work that ends in time', 'some', undefined, 'SIGTERM', 0],
  ['work that never ends', 'endless', { timeout: 100 }, 'SIGINT', 1],
  ['a hook that fails', 'failing hook', undefined, 'SIGTERM', 1],
  ['a signal from the option signals', 'some', { signals: ['SIGUSR2'] }, 'SIGUSR2', 0],
];

for (const [title, work, options, signal, code] of RUNS) {
  test(`${title}: the process exits with ${code}`, async () => {
    const { child, printed, ended } = signalled(work, options);
    await printed('running');
    process.kill(child.pid, signal);
    assert.deepEqual(await ended, exited(code));
  });
}

test('a second signal ends the process at once', async () => {
  const { child, printed, ended } = signalled('endless', { timeout: '1h' });
  await printed('running');
  process.kill(child.pid, 'SIGTERM');
  await printed('draining');
  process.kill(child.pid, 'SIGINT');
  assert.deepEqual(await ended, exited(128 + constants.signals.SIGINT));
});

test('a repeated SIGINT does not cut tracked work short', async () => {
  // Half a second later it would be the second signal.
  const { child, printed, ended } = signalled('some', undefined, { stopsClock: true });
  await printed('running');
  process.kill(child.pid, 'SIGINT');
  process.kill(child.pid, 'SIGINT');
  await printed('draining');
  process.kill(child.pid, 'SIGINT');
  assert.deepEqual(await ended, exited(0));
});

test('work that never ends leaves hooks for when: drained their full time', async () => {
  const run = signalled('flush', { timeout: 100, hooksTimeout: '1m' });
  await run.printed('running');
  process.kill(run.child.pid, 'SIGTERM');
  assert.deepEqual(await run.ended, exited(1));
  assert.ok(run.lines.includes('flushed'));
});

test('with exit: false the process ends by itself, and a second signal forces the shutdown', async () => {
  const run = signalled('endless', { timeout: '1h', exit: false });
  await run.printed('running');
  process.kill(run.child.pid, 'SIGTERM');
  await run.printed('draining');
  process.kill(run.child.pid, 'SIGINT');
  assert.deepEqual(await run.ended, exited(0));
  assert.deepEqual(JSON.parse(run.lines.find((line) => line.startsWith('{'))), {
    reason: 'SIGTERM',
    drained: false,
    threads: 2,
  });
});

test('after uninstalling, signals have their default effect', async () => {
  const { child, printed, ended } = signalled('uninstalled');
  await printed('running');
  process.kill(child.pid, 'SIGTERM');
  assert.deepEqual(await ended, { code: null, signal: 'SIGTERM', stderr: '' });
});

test('a lifecycle keeps no thread alive, a pending shutdown does', async () => {
  const idle = start(
    '-e',
    `const { Lifecycle } = require('./index.js');
     const lifecycle = new Lifecycle('idle').ready().on('change', console.log);
     lifecycle.signal.addEventListener('abort', console.log);
     lifecycle.track(new Promise(() => {}));
     lifecycle.onShutdown(() => {});`,
  );
  assert.deepEqual([await idle.ended, idle.lines], [exited(0), []]);

  const destroyed = start(
    '-e',
    `const { Lifecycle } = require('./index.js');
     const lifecycle = new Lifecycle('destroyed');
     lifecycle.track(new Promise(() => {}));
     lifecycle.onShutdown(() => new Promise(() => {}));
     lifecycle.shutdown({ timeout: '1h' }).catch(({ code }) => console.log(code));
     setTimeout(() => Lifecycle.destroy('destroyed'), 50);`,
  );
  assert.deepEqual([await destroyed.ended, destroyed.lines], [exited(0), ['ERR_SLUICE_CLOSED']]);

  const awaited = start(
    '-e',
    `const { Lifecycle } = require('./index.js');
     const { isMainThread, Worker, parentPort } = require('node:worker_threads');
     const lifecycle = new Lifecycle('awaited');
     const worker = new Worker(
       \`const { parentPort } = require('node:worker_threads');
        const lifecycle = new (require('./index.js').Lifecycle)('awaited');
        const stays = setInterval(() => {}, 1000);
        const work = new Promise((resolve) => {
          lifecycle.signal.addEventListener('abort', () => {
            clearInterval(stays);
            setTimeout(resolve, 300);
          });
        });
        lifecycle.track(work);
        parentPort.postMessage('working');\`,
       { eval: true },
     );
     worker.once('message', async () => {
       worker.unref();
       const { drained, perThread } = await lifecycle.shutdown();
       console.log(drained, Object.keys(perThread).length);
     });`,
  );
  assert.deepEqual([await awaited.ended, awaited.lines], [exited(0), ['true 2']]);
});
