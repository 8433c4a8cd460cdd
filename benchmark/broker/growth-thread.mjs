// Echoes calls, and collects its heap on request.
import { createRequire } from 'node:module';
import { getHeapStatistics } from 'node:v8';

const { Broker } = createRequire(import.meta.url)('../..');

const broker = new Broker('benchmark');
broker.handle('echo', (payload) => payload);
broker.handle('collect', () => {
  globalThis.gc();
  globalThis.gc();
  return getHeapStatistics().used_heap_size;
});
