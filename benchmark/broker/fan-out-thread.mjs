// A receiver of the broadcast, which counts its messages.
import { createRequire } from 'node:module';
import { BroadcastChannel, parentPort, workerData } from 'node:worker_threads';
import { CHANNEL } from './fan-outs.mjs';

const { way, counts, at } = workerData;
const count = ({ id }) => {
  if (id >= 0) Atomics.add(counts, at, 1);
};

const WAYS = {
  sluice: () => {
    const { Broker } = createRequire(import.meta.url)('../..');
    new Broker(CHANNEL).on('message', count);
  },
  BroadcastChannel: () => {
    new BroadcastChannel(CHANNEL).onmessage = ({ data }) => count(data);
  },
  'a MessagePort each': () => parentPort.on('message', count),
};

WAYS[way]();
parentPort.postMessage('ready');
