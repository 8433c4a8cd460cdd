// Sends more messages than the receiver can process, always a few thousand ahead of it.
import { createRequire } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

/** Less than the capacity of an inbox. */
const AHEAD = 8000;
const BURST = 64;

const { way, received } = workerData;

const WAYS = {
  MessagePort: () => (message) => parentPort.postMessage(message),
  sluice: async () => {
    const { Broker } = createRequire(import.meta.url)('../..');
    const broker = new Broker('benchmark');
    while (!broker.peers().some(({ id }) => id === 'flooded')) await turn();
    return (message) => broker.send('flooded', message);
  },
};

const send = await WAYS[way]();
for (let sent = 0; ; sent += BURST) {
  while (sent - Atomics.load(received, 0) > AHEAD) await turn();
  for (let number = 0; number < BURST; number++) send({ id: sent + number, kind: 'flood' });
  await turn();
}
