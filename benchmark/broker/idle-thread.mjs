// An idle thread, connected in the way given by `workerData`.
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';

if (workerData.way === 'sluice') {
  const { Broker } = createRequire(import.meta.url)('../..');
  new Broker('benchmark').handle('echo', (payload) => payload);
} else {
  parentPort.on('message', () => {});
}
parentPort.postMessage('ready');
