// One of several threads: runs the case requested once all participants have arrived.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { LOADS, openCase, threadedNames } from './cases.mjs';

const RUN_MS = 15;
const CHUNK = 500;

/** Slots of the shared array: how many threads have arrived, and how often all have. */
export const BARRIER = ['arrived', 'generation'];
const [ARRIVED, GENERATION] = BARRIER.keys();

if (!isMainThread) await serve();

async function serve() {
  const cases = [];
  for (const name of threadedNames) {
    for (const load of LOADS) cases.push(await openCase(name, load));
  }
  for (const { batch } of cases) runFor(batch, 5 * RUN_MS);
  parentPort.on('message', ({ index, parties }) => {
    meet(workerData.barrier, parties);
    parentPort.postMessage(runFor(cases[index].batch, RUN_MS));
  });
  parentPort.postMessage('ready');
}

/** Nanoseconds per call. */
function runFor(batch, ms) {
  const startedAt = performance.now();
  for (let calls = CHUNK; ; calls += CHUNK) {
    batch(CHUNK);
    const elapsed = performance.now() - startedAt;
    if (elapsed >= ms) return (elapsed * 1e6) / calls;
  }
}

/** Spins, so that all threads start within a microsecond. */
function meet(barrier, parties) {
  const generation = Atomics.load(barrier, GENERATION);
  if (Atomics.add(barrier, ARRIVED, 1) + 1 === parties) {
    Atomics.store(barrier, ARRIVED, 0);
    Atomics.add(barrier, GENERATION, 1);
  }
  while (Atomics.load(barrier, GENERATION) === generation);
}
