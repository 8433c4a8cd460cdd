// Calls that wait for an evenly spaced rate: how many a second are let through, and the CPU time of each.
import { createRequire } from 'node:module';
import { answerWith } from '../child.mjs';

const require = createRequire(import.meta.url);

/** Calls that wait at any moment: more than are let through in a turn of the event loop. */
const WAITING = 200;

const OPENERS = {
  sluice(rate) {
    const { RateLimiter } = require('../..');
    const limiter = new RateLimiter('spaced', { limit: rate, window: '1s', burst: 1 });
    return () => limiter.acquire('client');
  },
  async 'p-throttle'(rate) {
    const { default: pThrottle } = await import('p-throttle');
    return pThrottle({ limit: 1, interval: 1000 / rate, strict: true })(async () => true);
  },
  async bottleneck(rate) {
    const { default: Bottleneck } = await import('bottleneck');
    const limiter = new Bottleneck({ minTime: 1000 / rate });
    return () => limiter.schedule(async () => true);
  },
};

answerWith(async ({ limiter, rate, durationMs }) => {
  const call = await OPENERS[limiter](rate);
  await call();
  let calls = 0;
  let isOver = false;
  const from = performance.now();
  const before = process.cpuUsage();
  const lane = async () => {
    while (!isOver) {
      await call();
      calls += 1;
    }
  };
  for (let lanes = 0; lanes < WAITING; lanes++) lane();
  await new Promise((resolve) => setTimeout(resolve, durationMs));
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - from) / 1000;
  isOver = true;
  return { perSecond: calls / seconds, cpuUs: (user + system) / calls };
});
