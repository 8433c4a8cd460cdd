// Bytes that one call of a case leaves on the JavaScript heap: its growth over many calls between two collections.
import { getHeapStatistics } from 'node:v8';
import { answerWith } from '../child.mjs';
import { openCase } from './cases.mjs';

const CALLS = 51_200;

answerWith(async (name) => {
  const { batch, keysPerCall } = await openCase(name, 'uniform');
  // Optimised code allocates less than what runs before it.
  for (let warm = 0; warm < 20; warm++) await batch(CALLS / keysPerCall);
  const grown = [];
  for (let round = 0; round < 5; round++) grown.push(await growth(batch, CALLS / keysPerCall));
  return Math.min(...grown) / CALLS;
});

/** Less would be counted if a collection came between; then the heap shrinks, and this throws. */
async function growth(batch, calls) {
  globalThis.gc();
  const before = getHeapStatistics().used_heap_size;
  await batch(calls);
  const bytes = getHeapStatistics().used_heap_size - before;
  if (bytes < 0) throw new Error('the heap was collected meanwhile');
  return bytes;
}
