// One limit in four threads: how many hits are admitted, with the store of sluice and with the limiter's own.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { table } from '../table.mjs';
import { NEST_LIMIT, PEERS } from './peers.mjs';

const THREADS = 4;
/** Each thread alone makes as many hits. */
const LIMIT = NEST_LIMIT;

export async function countTotals() {
  const totals = [];
  for (const name of Object.keys(PEERS)) {
    const [own, shared] = [await admitted(name, 'own'), await admitted(name, 'shared')];
    totals.push({ name, limit: LIMIT, own, shared });
  }
  return totals;
}

/** Hits of all threads whose count was within the limit. */
async function admitted(name, by) {
  const url = new URL('totals-thread.mjs', import.meta.url);
  const workerData = { name, by, limit: LIMIT, counter: `totals of ${name}` };
  const workers = Array.from({ length: THREADS }, () => new Worker(url, { workerData }));
  const answers = workers.map(async (worker) => (await once(worker, 'message'))[0]);
  const counts = await Promise.all(answers);
  await Promise.all(workers.map((worker) => worker.terminate()));
  return counts.reduce((sum, count) => sum + count, 0);
}

export function totalsSection(totals) {
  const headings = ['limiter', 'limit', 'admitted, own store', 'admitted, store of sluice'];
  const rows = totals.map(({ name, limit, own, shared }) => [name, `${limit}`, `${own}`, `${shared}`]);
  return `### One limit in ${THREADS} threads\n\n${table(headings, rows)}\n\nEach thread makes ${LIMIT} hits of one key.`;
}
