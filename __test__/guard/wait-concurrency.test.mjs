// The guard's options wait and concurrency together: each request is counted once, for its own guard. Uses a manual clock.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sluice from '../../index.js';
import { ask, serve } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const freshName = freshNames('guard-wait-concurrency');
const clock = stopClock();

const SPACED = { limit: 10, window: '1s', burst: 1 };

test('a request is counted once, by its own guard, whether or not it waits', async (t) => {
  // Native code knows the first guard of a process as 0.
  const first = sluice.createGuard(freshName(), { rateLimit: SPACED });
  const guard = sluice.createGuard(freshName(), {
    rateLimit: SPACED,
    wait: '1s',
    concurrency: { max: 5 },
  });
  const port = await serve(
    t,
    guard.http()((_req, res) => res.end('served')),
  );
  assert.equal((await ask(port)).status, 200);
  const waits = ask(port);
  await until(() => guard.limiter.stats().waiting, 1);
  clock.advance(100);
  assert.equal((await waits).status, 200);
  assert.equal(first.stats().allowed, 0);
  const { allowed, refused } = guard.stats();
  assert.deepEqual([allowed, refused], [2, 0]);
  const limiter = guard.limiter.stats();
  assert.deepEqual([limiter.allowed, limiter.refused], [2, 0]);
  await until(() => guard.stats().concurrency.inFlight, 0);
});
