// A thread with a timer that receives more messages than it can process.
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { answerWith } from '../child.mjs';

const TIMER_MS = 5;
/** Busy time of the listener per message. */
const WORK_MS = 0.005;

const received = new Int32Array(new SharedArrayBuffer(4));

answerWith(async ({ way, ms }) => {
  const worker = new Worker(new URL('flood-thread.mjs', import.meta.url), { workerData: { way, received } });
  listen(way, worker, processMessage);
  while (received[0] === 0) await lateness();
  const startedAt = performance.now();
  const before = received[0];
  let latest = 0;
  while (performance.now() - startedAt < ms) latest = Math.max(latest, await lateness());
  return { latest, perSecond: (1000 * (received[0] - before)) / (performance.now() - startedAt) };
});

function listen(way, worker, listener) {
  if (way === 'MessagePort') return worker.on('message', listener);
  const { Broker } = createRequire(import.meta.url)('../..');
  new Broker('benchmark', { id: 'flooded' }).on('message', listener);
}

function processMessage() {
  const until = performance.now() + WORK_MS;
  while (performance.now() < until);
  Atomics.add(received, 0, 1);
}

/** How late the next timer fires, in ms. */
function lateness() {
  const due = performance.now() + TIMER_MS;
  return new Promise((resolve) => setTimeout(() => resolve(performance.now() - due), TIMER_MS));
}
