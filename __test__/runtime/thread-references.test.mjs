// A thread deletes its Node-API references when it ends, as Node.js leaves that to the addon.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { native } from '../../lib/runtime/native.js';

const LOADING = `
  const load = () => require(${JSON.stringify(fileURLToPath(new URL('../../index.js', import.meta.url)))});
  const brokers = [];
  const join = () => brokers.push(new (load().Broker)('references ' + brokers.length));
  join();
`;
/** Loads a second copy of the package's JavaScript, as a test runner that resets modules does. */
const LOADING_AGAIN = `
  for (const key of Object.keys(require.cache)) if (!key.endsWith('.node')) delete require.cache[key];
  join();
`;
const ENDINGS = {
  return: 'for (const broker of brokers) broker.close()',
  terminate: `require('node:worker_threads').parentPort.postMessage('up'); setInterval(() => {}, 1000)`,
  exit: 'process.exit(0)',
  error: `throw new Error('the thread ends with this')`,
};

for (const [way, ending] of Object.entries(ENDINGS)) {
  for (const [loads, again] of Object.entries({ once: '', twice: LOADING_AGAIN })) {
    test(`a thread that loads the package ${loads} and ends by ${way} deletes its references`, async () => {
      const before = native.referencesHeld();
      for (let i = 0; i < 5; i++) {
        const worker = new Worker(`${LOADING}${again}${ending}`, { eval: true });
        worker.on('error', () => {});
        if (way === 'terminate') worker.once('message', () => worker.terminate());
        // `once` of node:events would reject with the error of the worker.
        await new Promise((resolve) => worker.on('exit', resolve));
      }
      assert.equal(native.referencesHeld(), before);
    });
  }
}

test('a thread holds references while it lives', async (t) => {
  const before = native.referencesHeld();
  const worker = new Worker(`${LOADING}${ENDINGS.terminate}`, { eval: true });
  t.after(() => worker.terminate());
  await once(worker, 'message');
  assert.ok(native.referencesHeld() > before);
  await worker.terminate();
  assert.equal(native.referencesHeld(), before);
});
