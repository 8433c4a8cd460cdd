// Threads that end with calls under way, and processes that end with an idle link.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import sluice from '../../index.js';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { startRedis, withRedis } from '../helpers/redis.mjs';

const { RateLimiter } = sluice;
const ROOT = new URL('../../index.js', import.meta.url).pathname;

test('a worker that ends with calls under way leaves nothing', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const options = {
    limit: 1000,
    window: '30d',
    scope: { redis: redis.url, timeout: '10s', onError: 'deny' },
  };
  const limiter = new RateLimiter(name, options);
  await limiter.ready();
  const [peer] = startPeers(t, 1);
  await peer.run(
    async ({ load }, { name, options }) => {
      const limiter = new (load().RateLimiter)(name, options);
      await limiter.consumeAsync('a');
    },
    { name, options },
  );
  redis.pause();
  await peer.run(
    ({ load }, { name, options }) => {
      const limiter = new (load().RateLimiter)(name, options);
      for (let n = 0; n < 100; n++) limiter.consumeAsync('a');
    },
    { name, options },
  );
  assert.ok(limiter.stats().fleet.pending >= 100);
  await peer.end();
  redis.resume();
  const { remaining, degraded } = await limiter.peekAsync('a');
  assert.equal(degraded, false);
  assert.equal(remaining, 1000 - 101, 'what was under way is charged');
  // The options of this process may just be on their way.
  while (limiter.stats().fleet.pending > 0) await delay(5);
});

/** Runs a program that has the package as `sluice`; its output once it has exited by itself. */
async function runProgram(body, url) {
  const program = `const sluice = require(${JSON.stringify(ROOT)}); const url = ${JSON.stringify(url)}; ${body}`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  const [code] = await once(child, 'close');
  return { code, output };
}

test('an idle link does not keep a process running, a pending call does', withRedis, async (t) => {
  const redis = await startRedis(t);
  const body = `
    const limiter = new sluice.RateLimiter('a', { limit: 1, window: '1h', scope: { redis: url, timeout: '20s' } });
    limiter.consumeAsync('a').then(({ source }) => {
      console.log(source);
      globalThis.endedAt = performance.now();
    });
    process.on('exit', () => console.log(performance.now() - globalThis.endedAt < 2000));`;
  assert.deepEqual(await runProgram(body, redis.url), { code: 0, output: 'redis\ntrue\n' });
});

test('process.exit() does not wait for calls under way', withRedis, async (t) => {
  const redis = await startRedis(t);
  redis.pause();
  const body = `
    const limiter = new sluice.RateLimiter('a', { limit: 1, window: '1h', scope: { redis: url, timeout: '60s' } });
    limiter.consumeAsync('a');
    setTimeout(() => process.exit(3), 50);`;
  const startedAt = performance.now();
  assert.deepEqual(await runProgram(body, redis.url), { code: 3, output: '' });
  assert.ok(performance.now() - startedAt < 20_000);
  redis.resume();
});
