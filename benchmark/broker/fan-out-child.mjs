// One way to send a message to eight threads, in a new process.
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { answerWith } from '../child.mjs';
import { FAN_OUTS, RECEIVERS } from './fan-outs.mjs';
import { payloads } from './loads.mjs';

/** How many messages the slowest receiver may lag behind, so that no way queues without limit. */
const WINDOW = 512;
/** Messages per turn of the event loop, as a server would send for a batch of requests. */
const BURST = 64;

const counts = new Int32Array(new SharedArrayBuffer(4 * RECEIVERS));
const { make } = payloads('50-byte object');
let send;
let sent = 0;
let perRun;

answerWith(async ({ open, ms }) => {
  if (open !== undefined) {
    send = FAN_OUTS[open](await startThreads(open));
    return;
  }
  perRun ??= await calibrate(ms);
  const { elapsedMs, cpuUs } = await sendAll(perRun);
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
    const { elapsedMs } = await sendAll(count);
    if (elapsedMs > ms / 2) return Math.ceil((count * ms) / elapsedMs);
  }
}

/** Sends `count` messages and waits until every thread has received all of them. */
async function sendAll(count) {
  const end = sent + count;
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  while (sent < end) {
    await slowestIsAt(sent - WINDOW);
    for (const burst = Math.min(sent + BURST, end); sent < burst; sent++) send(make());
  }
  await slowestIsAt(end);
  const elapsedMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { elapsedMs, cpuUs: user + system };
}

/** Sleeps between checks, as there may be fewer cores than receivers. */
async function slowestIsAt(goal) {
  while (Math.min(...counts) < goal) await pause(1);
}
