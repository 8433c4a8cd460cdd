// The same calls from one thread and from several at once, in turn, on the same clients.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { threadedNames } from './cases.mjs';
import { BARRIER } from './thread.mjs';

/** For each case a row of samples: nanoseconds per call alone, and per call of each thread among several. */
export async function measureThreads(threads, rounds) {
  const workers = await startWorkers(threads);
  const cases = threadedNames.flatMap((name) => ['uniform', 'hot'].map((load) => ({ name, load })));
  const results = cases.map((one) => ({ ...one, alone: [], together: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, { alone, together }] of results.entries()) {
      alone.push(await run([workers[round % threads]], index));
      together.push(await run(workers, index));
    }
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  return results;
}

async function startWorkers(threads) {
  const barrier = new Int32Array(new SharedArrayBuffer(4 * BARRIER.length));
  const url = new URL('thread.mjs', import.meta.url);
  const workers = Array.from({ length: threads }, () => new Worker(url, { workerData: { barrier } }));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  return workers;
}

/** Nanoseconds per call of a thread, from the calls that all of them made together. */
async function run(workers, index) {
  const replies = workers.map((worker) => once(worker, 'message'));
  for (const worker of workers) worker.postMessage({ index, parties: workers.length });
  const callsPerNs = (await Promise.all(replies)).map(([ns]) => 1 / ns);
  return workers.length / callsPerNs.reduce((sum, each) => sum + each, 0);
}
