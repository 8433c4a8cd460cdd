// Consumes one key with the limiter of workerData at a signal, and posts how many calls were resolved,
// all counts, and those that began a window.
import { parentPort, workerData } from 'node:worker_threads';
import stores from '../../lib/stores/rate-limiter-flexible.js';

const { calls, ...options } = workerData;
const limiter = new stores.RateLimiterMemory(options);

parentPort.once('message', async () => {
  const results = await Promise.allSettled(Array.from({ length: calls }, () => limiter.consume('ada')));
  const all = results.map(({ value, reason }) => value ?? reason);
  const counts = all.map(({ consumedPoints }) => consumedPoints);
  const begun = all.filter((res) => res.isFirstInDuration).map(({ consumedPoints }) => consumedPoints);
  const resolved = results.filter(({ status }) => status === 'fulfilled').length;
  parentPort.postMessage({ resolved, counts, begun });
});
parentPort.postMessage('ready');
