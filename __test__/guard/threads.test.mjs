// One guard in four threads, each with its own server: bans, records and counts are shared.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import { FRAMEWORKS } from '../helpers/guarded.mjs';
import { ask, keepAliveAgent, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const { createGuard } = sluice;

const clock = stopClock();
const freshName = freshNames('guard-threads');

/** Four threads, each with another framework, with servers behind the guard `name`. */
async function fourThreads(t, name, options) {
  const workers = FRAMEWORKS.slice(-4).map((framework) => {
    const workerData = { name, options, framework };
    return new Worker(new URL('../helpers/guarded-worker.mjs', import.meta.url), { workerData });
  });
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  const ports = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
  return { workers, ports };
}

test('failures of all threads add up, and the ban applies in each, on open connections and at accept', async (t) => {
  const name = freshName();
  const options = {
    connections: { max: 100 },
    reputation: { maxFailures: 8, findTime: '1m', banTime: '1m', maxBanTime: '1h' },
  };
  const { ports } = await fourThreads(t, name, options);
  const agent = keepAliveAgent(t);
  for (const port of ports) assert.equal((await ask(port, { agent })).status, 200);
  for (const port of ports) {
    const asked = { agent, path: '/401', headers: { authorization: 'Basic YWRhOng=' } };
    assert.deepEqual(await statuses(2, port, asked), [401, 401]);
  }
  for (const port of ports) assert.equal((await ask(port, { agent })).status, 403);
  for (const port of ports) assert.equal((await ask(port)).status, 403);
  for (const port of ports) assert.equal((await ask(port, { from: '127.0.0.2' })).status, 200);

  const { allowed, refusedBy, refusedAtAccept, recorded, reputation, connections } =
    createGuard(name).stats();
  assert.deepEqual(refusedBy, { quota: 0, connections: 0, ban: 4 });
  assert.deepEqual([allowed, refusedAtAccept, connections.refused.banned, recorded], [16, 4, 4, 8]);
  assert.deepEqual([reputation.failures, reputation.bans], [8, 1]);

  clock.advance('1m');
  for (const port of ports) assert.equal((await ask(port)).status, 200);
});

test('concurrent answers of all threads cause exactly one ban', async (t) => {
  const name = freshName();
  const { ports } = await fourThreads(t, name, {
    rateLimit: false,
    record: { 404: { event: 'not-found', weight: 1 } },
    reputation: { maxFailures: 20, findTime: '1m', banTime: '1h', maxBanTime: '1d' },
    monitor: { rules: [{ event: 'not-found', count: 20, window: '1m', action: 'alert' }] },
  });
  const answers = await Promise.all(
    ports.flatMap((port) => Array.from({ length: 4 }, () => statuses(5, port, { path: '/404' }))),
  );
  const served = answers.flat().filter((status) => status === 404).length;
  const { reputation, monitor, recorded } = createGuard(name).stats();
  assert.deepEqual([reputation.bans, monitor.alerts], [1, 1]);
  assert.ok(served >= 20 && served < 80, `${served} were served`);
  assert.equal(recorded, served, 'each sent answer is recorded once');
  assert.equal(reputation.failures, 20, 'no failures are counted during a ban');
  for (const port of ports) assert.equal((await ask(port)).status, 403);
});

test('the counts of a thread stay when it is terminated', async (t) => {
  const name = freshName();
  const { workers, ports } = await fourThreads(t, name, { rateLimit: { limit: 6, window: '1h' } });
  for (const port of ports) await statuses(2, port);
  await Promise.all(workers.map((worker) => worker.terminate()));
  const { allowed, refused } = createGuard(name).stats();
  assert.deepEqual([allowed, refused], [6, 2]);
});
