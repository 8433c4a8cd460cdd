// Connections of a fleet while the server does not answer, answers late, or has lost what it was told.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { CLIENT, countOf, fleet, OTHER, open, rowsOf, startProcess, until } from '../helpers/connecting.mjs';
import { freshName } from '../helpers/peer.mjs';
import { disturb, startProxy, startRedis, withRedis } from '../helpers/redis.mjs';

test(
  'never more than the cap while the server is paused, killed and restarted with its data',
  withRedis,
  async (t) => {
    const [redis, counter] = await Promise.all([startRedis(t, { persists: true }), startRedis(t)]);
    const name = freshName();
    const options = { max: 4, maxPerClient: 3, scope: fleet(redis.url, { timeout: 100 }) };
    const processes = await Promise.all([1, 2].map(() => startProcess(t, { name, options, threadCount: 2 })));
    const task = { port: counter.port, forMs: 5000, client: CLIENT };
    const calm = disturb(redis, 250);
    const churned = Promise.all(processes.map((process) => process.call('inThreads', 'churn', task)));
    const runs = (await churned.finally(calm)).flat();
    const most = Math.max(...runs.map((run) => run.most));
    assert.ok(most <= 3, `${most} at once`);
    assert.ok(runs.some(({ admitted }) => admitted > 0));
    await until(async () => (await rowsOf(redis, name)) === 0);
  },
);

test(
  'without the server onError decides at once, and what was opened is said when it is back',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    const of = (onError) => ({ max: 5, maxPerClient: 1, scope: fleet(redis.url, { onError, timeout: 50 }) });
    const [local, allow, deny] = await Promise.all(
      ['local', 'allow', 'deny'].map((onError) => open(t, of(onError))),
    );
    await redis.kill();
    await until(() => [local, allow, deny].every((tracker) => tracker.stats().fleet.state === 'away'));
    /** Whether a connection was opened; undefined where that is not known before the next turn of the event loop. */
    const atOnce = (tracker) =>
      Promise.race([tracker.tryOpenAsync(CLIENT).then((connection) => connection !== null), turn()]);
    for (const [tracker, expected] of [
      [local, [true, false]],
      [allow, [true, true]],
      [deny, [false, false]],
    ]) {
      assert.deepEqual([await atOnce(tracker), await atOnce(tracker)], expected);
      assert.equal(tracker.stats().fleet.local, 2);
    }
    assert.deepEqual(
      deny.stats().refused,
      { max: 0, maxPerClient: 0, opens: 0, banned: 0 },
      'no cap has refused',
    );
    assert.equal(local.stats().refused.maxPerClient, 1, 'that of this process');

    await redis.start();
    await until(() => [local, allow].every((tracker) => tracker.stats().fleet.count > 0));
    assert.deepEqual(
      [local, allow].map((tracker) => tracker.stats().fleet.count),
      [1, 2],
    );
    const patient = { max: 5, maxPerClient: 1, scope: fleet(redis.url) };
    const asked = await startProcess(t, { name: allow.name, options: patient });
    assert.deepEqual(await asked.call('open', 1, CLIENT), [0], 'the server knows of them');
  },
);

test(
  'a server that stops answers nothing for longer than the timeout, and is asked again when it goes on',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    const timeout = 4000;
    const tracker = await open(t, { maxPerClient: 1, scope: fleet(redis.url, { timeout }) });
    await tracker.tryOpenAsync(OTHER);
    redis.pause();
    const started = performance.now();
    const opened = await Promise.all(Array.from({ length: 20 }, () => tracker.tryOpenAsync(CLIENT)));
    const took = performance.now() - started;
    assert.ok(took < 2 * timeout, `${took} ms`);
    assert.ok(opened.every((connection) => connection === null));
    const { state, failures } = tracker.stats().fleet;
    assert.equal(state, 'away');
    assert.ok(failures.timeout > 0);
    redis.resume();
    await until(() => tracker.stats().fleet.state === 'ready');
    assert.notEqual(await tracker.tryOpenAsync(CLIENT), null, 'nothing was taken meanwhile');
    assert.equal(await tracker.tryOpenAsync(CLIENT), null);
  },
);

/** Fails when a place that was granted after its caller had gone is kept. */
test('a place that is granted too late is given back', withRedis, async (t) => {
  const redis = await startRedis(t);
  const proxy = await startProxy(t, redis.port);
  const tracker = await open(t, { max: 1, scope: fleet(proxy.url, { timeout: 4000 }) });
  proxy.hold();
  const asked = tracker.tryOpenAsync(CLIENT);
  await redis.until((reply) => reply.includes(':24'), 'STRLEN', `sluice:1c:{c:${tracker.name}}:all`);
  assert.equal(await asked, null, 'the server has granted it, and its answer is under way');
  proxy.release();
  await until(async () => (await rowsOf(redis, tracker.name)) === 0);
  await until(async () => (await tracker.tryOpenAsync(CLIENT)) !== null);
  assert.equal(tracker.stats().fleet.count, 1);
});

test('a connection that is cut leaves nothing at the server that is not open', withRedis, async (t) => {
  const redis = await startRedis(t);
  const proxy = await startProxy(t, redis.port);
  const tracker = await open(t, { maxPerClient: 4, scope: fleet(proxy.url) });
  await tracker.tryOpenAsync(CLIENT);
  // Of a client whose key holds something else the server is told nothing: then nothing else is under way.
  await redis.command('SET', `sluice:1c:{c:${tracker.name}}:c:${OTHER}`, 'x');
  assert.equal(await tracker.tryOpenAsync(OTHER), null);
  proxy.hold();
  const lost = Promise.all([1, 2, 3].map(() => tracker.tryOpenAsync(CLIENT)));
  await until(async () => (await countOf(redis, tracker.name, CLIENT)) > 1);
  proxy.cut();
  proxy.release();
  const admitted = (await lost).filter(Boolean).length;
  assert.ok(admitted < 3, 'the answer to one at least was lost');
  await until(() => tracker.stats().fleet.state === 'ready');
  const opened = await Promise.all([1, 2, 3, 4].map(() => tracker.tryOpenAsync(CLIENT)));
  assert.equal(1 + admitted + opened.filter(Boolean).length, 4, 'the cap');
});

test('a server that has lost everything is told again what is held', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const options = { maxPerClient: 2, scope: fleet(redis.url) };
  const [holding, asking] = await Promise.all([1, 2].map(() => startProcess(t, { name, options })));
  await holding.call('open', 2, CLIENT);
  await redis.kill();
  await redis.start();
  for (const process of [holding, asking]) {
    await until(async () => (await process.call('stats')).fleet.state === 'ready');
  }
  await until(async () => (await rowsOf(redis, name)) === 24);
  assert.deepEqual(await asking.call('open', 1, CLIENT), [0]);
  assert.equal(await redis.command('SCRIPT', 'FLUSH'), '+OK\r\n+OK\r\n');
  assert.deepEqual(await asking.call('open', 1, OTHER), [1], 'a script that is not known is sent');
});

test('a key of another type fails its client alone, and is left as it is', withRedis, async (t) => {
  const redis = await startRedis(t);
  const tracker = await open(t, { maxPerClient: 1, scope: fleet(redis.url) });
  const key = `sluice:1c:{c:${tracker.name}}:c:${CLIENT}`;
  await redis.command('LPUSH', key, 'x');
  const [theirs, other] = await Promise.all([tracker.tryOpenAsync(CLIENT), tracker.tryOpenAsync(OTHER)]);
  assert.deepEqual([theirs, other === null], [null, false]);
  assert.equal(tracker.stats().fleet.failures.foreign, 1);
  assert.match(await redis.command('TYPE', key), /list/);
  const { commands } = tracker.stats().fleet;
  await delay(500);
  const more = tracker.stats().fleet.commands - commands;
  assert.ok(more <= 3, `${more} calls, though nothing is asked`);
});

test('a server without memory answers with errors, and stays connected', withRedis, async (t) => {
  const redis = await startRedis(t, { args: ['--maxmemory-policy', 'noeviction'] });
  const tracker = await open(t, { max: 9, scope: fleet(redis.url, { onError: 'allow' }) });
  await redis.command('CONFIG', 'SET', 'maxmemory', '1');
  assert.notEqual(await tracker.tryOpenAsync(CLIENT), null);
  const { failures, connections, lastError } = tracker.stats().fleet;
  assert.deepEqual([failures.refused, connections], [1, 1]);
  assert.match(lastError, /OOM/);
  await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  await until(() => tracker.stats().fleet.count === 1);
});
