// Growth of the heaps of two threads over many calls between them.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { answerWith } from '../child.mjs';
import { payloads } from './loads.mjs';
import { served } from './served.mjs';

const IN_FLIGHT = 100;

const { Broker } = createRequire(import.meta.url)('../..');

answerWith(async ({ calls }) => {
  const broker = new Broker('benchmark');
  const worker = new Worker(new URL('growth-thread.mjs', import.meta.url));
  await served(broker, 'collect');
  await callAll(broker, calls / 2);
  const before = await settled(broker);
  await callAll(broker, calls);
  const after = await settled(broker);
  worker.terminate();
  await once(worker, 'exit');
  return Object.fromEntries(Object.keys(after).map((what) => [what, after[what] - before[what]]));
});

async function callAll(broker, calls) {
  const carried = payloads('50-byte object');
  let left = calls;
  const lane = async () => {
    while (left-- > 0) carried.take(await broker.call('echo', carried.make()));
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  if (carried.balance !== 0) throw new Error('what came back is not what was sent');
}

/** Bytes in use after both heaps have been collected. */
async function settled(broker) {
  const callee = await broker.call('collect', null);
  globalThis.gc();
  globalThis.gc();
  return { caller: process.memoryUsage().heapUsed, callee, rss: process.memoryUsage.rss() };
}
