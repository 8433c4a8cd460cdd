// One way of telling eight threads, in a process of its own.
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { answerWith } from '../child.mjs';
import { FAN_OUTS, RECEIVERS } from './fan-outs.mjs';
import { payloads } from './loads.mjs';

/** How far the slowest may be behind: none of the ways is left to queue without limit. */
const WINDOW = 512;
/** Between two turns of the event loop, as a server would tell of what a batch of requests has changed. */
const BURST = 64;

const counts = new Int32Array(new SharedArrayBuffer(4 * RECEIVERS));
const { make } = payloads('50-byte object');
let tell;
let told = 0;
let perRun;

answerWith(async ({ open, ms }) => {
  if (open !== undefined) {
    tell = FAN_OUTS[open](await startThreads(open));
    return;
  }
  perRun ??= await calibrate(ms);
  const { elapsedMs, cpuUs } = await tellAll(perRun);
  return { perSecond: (1000 * perRun * RECEIVERS) / elapsedMs, cpu: cpuUs / (perRun * RECEIVERS) };
});

async function startThreads(way) {
  const url = new URL('fan-out-thread.mjs', import.meta.url);
  const workers = Array.from(
    { length: RECEIVERS },
    (_, at) => new Worker(url, { workerData: { way, counts, at } }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  return workers;
}

async function calibrate(ms) {
  for (let count = WINDOW; ; count *= 2) {
    const { elapsedMs } = await tellAll(count);
    if (elapsedMs > ms / 2) return Math.ceil((count * ms) / elapsedMs);
  }
}

/** Until all have come. */
async function tellAll(count) {
  const end = told + count;
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  while (told < end) {
    await slowestIsAt(told - WINDOW);
    for (const burst = Math.min(told + BURST, end); told < burst; told++) tell(make());
  }
  await slowestIsAt(end);
  const elapsedMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { elapsedMs, cpuUs: user + system };
}

/** Asleep meanwhile: there are fewer cores than receivers. */
async function slowestIsAt(goal) {
  while (Math.min(...counts) < goal) await pause(1);
}
