// Bytes that one call allocates on the JavaScript heap: its growth over many calls without a collection.
import { getHeapStatistics } from 'node:v8';
import { answerWith } from '../child.mjs';
import { openCase } from './cases.mjs';

const CALLS = 51_200;

answerWith(async (name) => {
  const { batch, keysPerCall } = await openCase(name, 'uniform');
  // Warm up, as optimised code allocates less.
  for (let warm = 0; warm < 20; warm++) await batch(CALLS / keysPerCall);
  const grown = [];
  for (let round = 0; round < 5; round++) grown.push(await growth(batch, CALLS / keysPerCall));
  return Math.min(...grown) / CALLS;
});

/** Throws if a collection ran meanwhile, which would falsify the number. */
async function growth(batch, calls) {
  globalThis.gc();
  const before = getHeapStatistics().used_heap_size;
  await batch(calls);
  const bytes = getHeapStatistics().used_heap_size - before;
  if (bytes < 0) throw new Error('the heap was collected meanwhile');
  return bytes;
}
