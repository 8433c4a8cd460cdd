// Nest applications in four threads, on both platforms, share one state.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ask } from '../helpers/http.mjs';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('nest-threads');

test('four threads, two of each platform, admit exactly the quota of the module and of a route', async (t) => {
  const url = new URL('../helpers/nest-guarded-worker.mjs', import.meta.url);
  const window = { window: '1h', algorithm: 'fixed-window' };
  const options = { name: freshName(), rateLimit: { limit: 50, ...window } };
  const search = { rateLimit: { limit: 20, ...window } };
  const workers = [0, 1, 0, 1].map(
    (platform) => new Worker(url, { workerData: { platform, options, search } }),
  );
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  const ports = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
  const admitted = async (path) => {
    const requests = ports.flatMap((port) => Array.from({ length: 25 }, () => ask(port, { path })));
    return (await Promise.all(requests)).filter(({ status }) => status === 200).length;
  };
  assert.equal(await admitted('/page'), 50);
  assert.equal(await admitted('/search'), 20);
});
