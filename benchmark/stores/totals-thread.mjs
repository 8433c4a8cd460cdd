// One of the threads of totals.mjs.
import { parentPort, workerData } from 'node:worker_threads';
import { PEERS } from './peers.mjs';

const { name, by, limit, counter } = workerData;
const { call, countOf } = await PEERS[name][by](limit, counter);
let admitted = 0;
for (let hit = 0; hit < limit; hit++) {
  if ((await countOf(call('key'))) <= limit) admitted += 1;
}
parentPort.postMessage(admitted);
