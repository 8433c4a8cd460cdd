// The same calls from one thread and from several at once, in turn, on the same clients.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { LOADS, threadedNames } from './cases.mjs';
import { BARRIER } from './thread.mjs';

/** How many call at once. */
export const COUNTS = [1, 2, 4];

/** For each case its `byCount`: for each count of threads, nanoseconds per call of each of them. */
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

/** Others in each round: none of them shall stand for all. */
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

/** Nanoseconds per call of a thread, from the calls that all of them made together. */
async function run(workers, index) {
  const replies = workers.map((worker) => once(worker, 'message'));
  for (const worker of workers) worker.postMessage({ index, parties: workers.length });
  const callsPerNs = (await Promise.all(replies)).map(([ns]) => 1 / ns);
  return workers.length / callsPerNs.reduce((sum, each) => sum + each, 0);
}
