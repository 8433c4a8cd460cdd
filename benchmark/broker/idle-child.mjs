// A process whose main thread and eight workers are connected but idle.
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { answerWith } from '../child.mjs';

const THREADS = 8;
const REST_MS = 1000;

answerWith(async ({ way, ms }) => {
  if (way === 'sluice') {
    const { Broker } = createRequire(import.meta.url)('../..');
    new Broker('benchmark').on('message', () => {});
  }
  await Promise.all(Array.from({ length: THREADS }, () => startThread(way)));
  await pause(REST_MS);
  const before = used();
  await pause(ms);
  const after = used();
  return {
    cpuMs: after.cpuMs - before.cpuMs,
    wakeUps: before.wakeUps === undefined ? undefined : after.wakeUps - before.wakeUps,
  };
});

async function startThread(way) {
  const worker = new Worker(new URL('idle-thread.mjs', import.meta.url), { workerData: { way } });
  await once(worker, 'message');
}

function used() {
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1000, wakeUps: countWakeUps() };
}

/** How often the threads of the process have gone to sleep so far; known on Linux only. */
function countWakeUps() {
  if (process.platform !== 'linux') return undefined;
  return readdirSync('/proc/self/task')
    .map((thread) => readFileSync(`/proc/self/task/${thread}/status`, 'utf8'))
    .map((status) => Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)[1]))
    .reduce((sum, count) => sum + count, 0);
}
