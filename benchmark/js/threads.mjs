// The same calls from one thread and from several at once, for the same clients.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { LOADS, threadedNames } from './cases.mjs';
import { BARRIER } from './thread.mjs';

/** Numbers of concurrent threads. */
export const COUNTS = [1, 2, 4];

/** For each case `byCount`: samples of nanoseconds per call of a thread, for each number of threads. */
export async function measureThreads(rounds) {
  const workers = await startWorkers(Math.max(...COUNTS));
  const cases = threadedNames.flatMap((name) => LOADS.map((load) => ({ name, load })));
  const results = cases.map((one) => ({ ...one, byCount: COUNTS.map(() => []) }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, { byCount }] of results.entries()) {
      for (const [at, count] of COUNTS.entries())
        byCount[at].push(await run(someOf(workers, count, round), index));
    }
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  return results;
}

/** Different workers in each round, so that no single one decides a result. */
function someOf(workers, count, round) {
  return Array.from({ length: count }, (_, at) => workers[(round + at) % workers.length]);
}

async function startWorkers(threads) {
  const barrier = new Int32Array(new SharedArrayBuffer(4 * BARRIER.length));
  const url = new URL('thread.mjs', import.meta.url);
  const workers = Array.from({ length: threads }, () => new Worker(url, { workerData: { barrier } }));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  return workers;
}

/** Nanoseconds per call of a thread, from the throughput of all threads together. */
async function run(workers, index) {
  const replies = workers.map((worker) => once(worker, 'message'));
  for (const worker of workers) worker.postMessage({ index, parties: workers.length });
  const callsPerNs = (await Promise.all(replies)).map(([ns]) => 1 / ns);
  return workers.length / callsPerNs.reduce((sum, each) => sum + each, 0);
}
