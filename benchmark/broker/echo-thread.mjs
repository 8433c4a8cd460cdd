// The thread that echoes what it receives, in the way given by `workerData`.
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { pinThread } from './placement.mjs';

const WAYS = {
  bare: () => parentPort.on('message', (payload) => parentPort.postMessage(payload)),
  rpc: () => parentPort.on('message', ({ id, payload }) => parentPort.postMessage({ id, payload })),
  comlink: async () => {
    const { expose } = await import('comlink');
    const { default: nodeEndpoint } = await import('comlink/dist/esm/node-adapter.mjs');
    expose((payload) => payload, nodeEndpoint(parentPort));
  },
  sluice: () => {
    const { Broker } = createRequire(import.meta.url)('../..');
    new Broker('benchmark').handle('echo', (payload) => payload);
  },
};

pinThread(workerData.core);
await WAYS[workerData.way]();
