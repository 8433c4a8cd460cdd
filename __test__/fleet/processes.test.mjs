// Several processes, several threads each, one key: exact totals, also while the server is killed, paused and restarted.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freshName } from '../helpers/peer.mjs';
import { startRedis, withRedis } from '../helpers/redis.mjs';

const run = promisify(execFile);
const FILE = new URL('../helpers/fleet-process.cjs', import.meta.url).pathname;

async function runProcesses(count, task) {
  const ended = Array.from({ length: count }, () => run(process.execPath, [FILE, JSON.stringify(task)]));
  const totals = (await Promise.all(ended)).map(({ stdout }) => JSON.parse(stdout));
  const sum = (name) => totals.reduce((all, each) => all + each[name], 0);
  return { admitted: sum('admitted'), degraded: sum('degraded') };
}

/** Fails when the script reads, decides and writes in separate steps: two machines then admit the same unit. */
test('four processes with two threads each admit the quota and not one unit more', withRedis, async (t) => {
  const redis = await startRedis(t);
  const scope = { redis: redis.url, timeout: '20s', onError: 'deny' };
  // A refusal is remembered, so most calls after the last unit stay in their process.
  const task = { name: freshName(), scope, limit: 5000, calls: 2000, inFlight: 50, threads: 2 };
  const { admitted, degraded } = await runProcesses(4, task);
  assert.deepEqual({ admitted, degraded }, { admitted: 5000, degraded: 0 });
});

test('never more than the quota while the server is paused, killed and restarted', withRedis, async (t) => {
  const redis = await startRedis(t, { persists: true });
  const scope = { redis: redis.url, onError: 'deny' };
  const task = { name: freshName(), scope, limit: 3000, calls: 4000, inFlight: 20, threads: 2 };
  const ended = runProcesses(3, task);
  let isOver = false;
  const disturb = async () => {
    while (!isOver) {
      redis.pause();
      await delay(120);
      redis.resume();
      await delay(150);
      await redis.kill();
      await delay(50);
      await redis.start();
      await delay(150);
    }
  };
  const disturbed = disturb();
  const { admitted } = await ended.finally(() => {
    isOver = true;
  });
  await disturbed;
  assert.ok(admitted <= 3000, `${admitted} admitted`);
  assert.ok(admitted > 0);
});
