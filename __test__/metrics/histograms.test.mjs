// Histograms of decisions and of calls: nothing before something asks for them, then one truth of all threads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sluice from '../../index.js';
import nativeModule from '../../lib/runtime/native.js';
import testing from '../../lib/testing.js';
import { requestFrom } from '../helpers/everything.mjs';
import { startPeers } from '../helpers/peer.mjs';
import { freshNames, manualClock } from '../helpers/setup.mjs';

const { native } = nativeModule;
const freshName = freshNames('histograms');

/** The rows of one histogram on the page: `{ buckets, sum, count }`. */
function histogram(name, labels) {
  const rows = sluice.metrics({ histograms: true }).split('\n');
  const value = (suffix) => {
    const row = rows.find((one) => one.startsWith(`${name}_${suffix}{${labels}} `));
    return row && Number(row.split(' ').at(-1));
  };
  const buckets = rows
    .filter((one) => one.startsWith(`${name}_bucket{${labels},le=`))
    .map((row) => Number(row.split(' ').at(-1)));
  return { buckets, sum: value('sum'), count: value('count') };
}

const decisions = (scope = 'process') => histogram('sluice_limiter_decision_seconds', `scope="${scope}"`);

// First, as measuring does not end.
test('nothing is measured before something asks for it', async (t) => {
  const guard = sluice.createGuard(freshName(), { rateLimit: { limit: 1, window: '1h' } });
  guard.check(requestFrom('192.0.2.1'));
  const broker = new sluice.Broker(freshName());
  t.after(() => broker.close());
  broker.handle('double', (number) => 2 * number);
  assert.equal(await broker.call('double', 2), 4);
  assert.deepEqual(native.readLatencies(), { limiters: [], guards: [], brokers: [] });
  assert.doesNotMatch(sluice.metrics(), /_seconds_/);

  // A thread that runs already follows within its next turns.
  const [peer] = startPeers(t, 1);
  const name = freshName();
  const check = async ({ load }, name) => {
    const guard = load().createGuard(name, { rateLimit: { limit: 1, window: '1h' } });
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    for (let one = 0; one < 3; one++) guard.check({ headers: {}, socket: { remoteAddress: '192.0.2.1' } });
  };
  await peer.run(check, name);
  sluice.metrics({ histograms: true });
  await peer.run(check, name);
  assert.equal(histogram('sluice_guard_decision_seconds', `guard="${name}"`).count, 3);
});

test('each decision of a limiter is counted once', () => {
  const limiter = new sluice.RateLimiter(freshName(), { limit: 10, window: '1h' });
  const before = decisions().count ?? 0;
  for (let one = 0; one < 100; one++) limiter.tryConsume('key');
  for (let one = 0; one < 50; one++) limiter.consume('key');
  const { buckets, sum, count } = decisions();
  assert.equal(count - before, 150);
  assert.equal(buckets.at(-1), count);
  assert.deepEqual(
    buckets,
    [...buckets].sort((a, b) => a - b),
  );
  // 26 bounds with the last, which is infinite; no decision takes a second.
  assert.equal(buckets.length, 26);
  assert.equal(buckets[21], count);
  assert.ok(sum > 0 && sum < count, `${sum} s`);
});

test('decisions of a guard, those that await a function included', async () => {
  const guard = sluice.createGuard(freshName(), {
    rateLimit: { limit: 2, window: '1h' },
    key: async () => 'key',
  });
  for (let one = 0; one < 5; one++) await guard.check(requestFrom('192.0.2.1'));
  const counted = () => histogram('sluice_guard_decision_seconds', `guard="${guard.name}"`).count;
  assert.equal(counted(), 5);
  // A function that throws made no decision.
  const failing = sluice.createGuard(guard.name, {
    key: async () => {
      throw new Error('no key');
    },
  });
  await assert.rejects(failing.check(requestFrom('192.0.2.1')), /no key/);
  assert.equal(counted(), 5);
});

test('a request that waits for its moment is left out, as is a call of acquire', async (t) => {
  const clock = manualClock(t);
  const rateLimit = { limit: 10, window: '1s', burst: 1 };
  const guard = sluice.createGuard(freshName(), { rateLimit, wait: '1s' });
  const counted = () => histogram('sluice_guard_decision_seconds', `guard="${guard.name}"`).count;
  await guard.check(requestFrom('192.0.2.1'));
  const waiting = guard.check(requestFrom('192.0.2.1'));
  assert.ok(waiting instanceof Promise);
  clock.advance(100);
  assert.equal((await waiting).allowed, true);
  assert.equal(counted(), 1);
  const limiter = new sluice.RateLimiter(freshName(), rateLimit);
  const before = decisions().count;
  await limiter.acquire('key');
  assert.equal(decisions().count - before, 1);
  const later = limiter.acquire('key');
  clock.advance(100);
  await later;
  assert.equal(decisions().count - before, 1);
});

test('calls of a broker that were answered, also by an error', async (t) => {
  const broker = new sluice.Broker(freshName());
  t.after(() => broker.close());
  broker.handle('double', (number) => 2 * number);
  broker.handle('fail', () => {
    throw new Error('no');
  });
  const counted = () => histogram('sluice_broker_call_seconds', `broker="${broker.name}"`).count;
  assert.equal(counted(), undefined);
  for (let one = 0; one < 3; one++) await broker.call('double', one);
  await assert.rejects(broker.call('fail'), /no/);
  await assert.rejects(broker.call('nothing'), { code: 'ERR_SLUICE_NO_ENDPOINT' });
  assert.equal(counted(), 4);
});

test('decisions of a server are counted apart', async () => {
  const scope = { redis: 'redis://127.0.0.1:1', onError: 'local', timeout: 20 };
  const limiter = new sluice.RateLimiter(freshName(), { limit: 1, window: '1h', scope });
  const before = decisions('fleet').count ?? 0;
  await Promise.all([limiter.consumeAsync('key'), limiter.consumeAsync('key')]);
  await limiter.peekAsync('key');
  assert.equal(decisions('fleet').count - before, 2);
});

test('all threads count into one histogram, and threads that begin later measure as well', async (t) => {
  const name = freshName();
  const limiter = new sluice.RateLimiter(name, { limit: 10, window: '1h' });
  const { limiters } = native.readLatencies();
  const before = limiters.find((one) => one.name === 'process').buckets.reduce((sum, n) => sum + n, 0);
  const use = ({ load }, name) => {
    const { RateLimiter, createGuard } = load();
    const limiter = new RateLimiter(name);
    for (let one = 0; one < 1000; one++) limiter.tryConsume('key');
    const guard = createGuard(`${name}-guard`, { rateLimit: { limit: 1, window: '1h' } });
    for (let one = 0; one < 20; one++) guard.check({ headers: {}, socket: { remoteAddress: '192.0.2.1' } });
  };
  const peers = startPeers(t, 4);
  await Promise.all(peers.map((peer) => peer.run(use, name)));
  await Promise.all(peers.map((peer) => peer.end()));
  limiter.tryConsume('key');
  assert.equal(decisions().count - before, 4081);
  const guards = histogram('sluice_guard_decision_seconds', `guard="${name}-guard"`);
  assert.equal(guards.count, 80);
});

test('reset() empties them and goes on measuring', async () => {
  const limiter = new sluice.RateLimiter(freshName(), { limit: 1, window: '1h' });
  limiter.tryConsume('key');
  assert.ok(decisions().count > 0);
  testing.reset();
  assert.equal(decisions().count, 0);
  limiter.tryConsume('key');
  assert.equal(decisions().count, 1);
});

test('a manual clock does not stop them', (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const limiter = new sluice.RateLimiter(freshName(), { limit: 1e6, window: '1h' });
  const before = decisions();
  for (let one = 0; one < 1000; one++) limiter.tryConsume('key');
  const after = decisions();
  assert.equal(after.count - before.count, 1000);
  assert.ok(after.sum > before.sum);
});
