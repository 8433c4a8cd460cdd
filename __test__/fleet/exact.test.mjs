// Decisions of a real server, by every algorithm and every operation.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';
import { startRedis, withRedis } from '../helpers/redis.mjs';

const { RateLimiter } = sluice;

/** A long time to wait, so that a busy machine decides nothing without the server. */
const timeout = '20s';

async function opened(t, options, scope) {
  const redis = await startRedis(t);
  const given = { ...options, scope: { redis: redis.url, timeout, ...scope } };
  const limiter = new RateLimiter(freshName(), given);
  await limiter.ready({ timeout });
  return { redis, limiter, given };
}

const QUOTAS = {
  gcra: { limit: 5, window: '1h' },
  'fixed-window': { limit: 5, window: '1h', algorithm: 'fixed-window' },
  'sliding-window': { limit: 5, window: '1h', algorithm: 'sliding-window' },
  several: {
    limits: [
      { name: 'hour', limit: 5, window: '1h' },
      { name: 'day', limit: 100, window: '1d', algorithm: 'fixed-window' },
    ],
  },
};

for (const [name, quota] of Object.entries(QUOTAS)) {
  test(`${name}: the quota, and each operation`, withRedis, async (t) => {
    const { limiter } = await opened(t, quota);
    const first = await limiter.consumeAsync('a', 2);
    assert.equal(first.source, 'redis');
    assert.equal(first.degraded, false);
    assert.deepEqual([first.allowed, first.limit, first.remaining, first.retryAfterMs], [true, 5, 3, 0]);
    assert.equal((await limiter.peekAsync('a')).remaining, 3, 'peek charges nothing');

    await limiter.refundAsync('a');
    assert.equal((await limiter.peekAsync('a')).remaining, 4);
    await limiter.penalizeAsync('a', 3);
    assert.equal((await limiter.peekAsync('a')).remaining, 1);

    const refused = await limiter.consumeAsync('a', 2);
    assert.deepEqual([refused.allowed, refused.remaining, refused.source], [false, 1, 'redis']);
    assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= 2 * 3_600_000);
    assert.equal((await limiter.consumeAsync('a', 6)).retryAfterMs, Number.POSITIVE_INFINITY);

    assert.equal(await limiter.blockAsync('a', '10m'), true);
    const blocked = await limiter.consumeAsync('a');
    assert.equal(blocked.allowed, false);
    assert.ok(blocked.retryAfterMs > 590_000 && blocked.retryAfterMs <= 600_000);
    assert.equal(await limiter.resetAsync('a'), true);
    assert.equal(await limiter.resetAsync('a'), false);
    assert.equal((await limiter.consumeAsync('a', 5)).allowed, true);
    assert.equal((await limiter.consumeAsync('b', 5)).allowed, true, 'another client');
  });
}

test('calls made at once share the quota exactly', withRedis, async (t) => {
  const { limiter } = await opened(t, { limit: 100, window: '1h' });
  const calls = [];
  for (let n = 0; n < 1000; n++) calls.push(limiter.consumeAsync(n % 2 === 0 ? 'even' : 'odd'));
  const decisions = await Promise.all(calls);
  assert.equal(decisions.filter(({ allowed }) => allowed).length, 200);
  const remaining = decisions.filter(({ allowed }, n) => allowed && n % 2 === 0).map((d) => d.remaining);
  assert.deepEqual(
    remaining,
    Array.from({ length: 100 }, (_, n) => 99 - n),
    'in their order',
  );
  const { allowed, refused, fleet } = limiter.stats();
  assert.deepEqual([allowed, refused, fleet.decisions, fleet.local], [200, 800, 1000, 0]);
  assert.ok(fleet.commands < 100, `${fleet.commands} script calls for 1000 decisions`);
});

test('a refused client is remembered, so a flood of it does not reach the server', withRedis, async (t) => {
  const { limiter } = await opened(t, { limit: 1, window: '1h' });
  await limiter.consumeAsync('a');
  await limiter.consumeAsync('a');
  const { commands } = limiter.stats().fleet;
  let remembered;
  for (let n = 0; n < 100; n++) remembered = await limiter.consumeAsync('a');
  const { fleet } = limiter.stats();
  // One call a second; the loop takes a few milliseconds.
  assert.ok(fleet.commands - commands <= 5, `${fleet.commands - commands} script calls`);
  assert.ok(fleet.remembered >= 95 && fleet.remembers === 1);
  assert.deepEqual([remembered.allowed, remembered.source, remembered.degraded], [false, 'redis', false]);
  await limiter.resetAsync('a');
  assert.equal((await limiter.consumeAsync('a')).allowed, true, 'a reset ends it at once');
});

test('two limiters of one name share the counts, of another prefix they do not', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const open = (as, scope) =>
    new RateLimiter(as, { limit: 3, window: '1h', scope: { redis: redis.url, timeout, ...scope } });
  const one = open(name);
  await one.ready({ timeout });
  await one.consumeAsync('a', 3);
  assert.equal((await new RateLimiter(name).consumeAsync('a')).allowed, false, 'attached without options');
  assert.equal((await open(freshName(), { prefix: 'other:' }).consumeAsync('a')).allowed, true);
  assert.match(await redis.command('KEYS', '*'), new RegExp(`sluice:1:\\{\\d+:${name}:g\\}:a`));
});

test('every key expires once its state means nothing', withRedis, async (t) => {
  const { redis, limiter } = await opened(t, { limit: 10, window: '30m' });
  await limiter.consumeAsync('a');
  const [, key] = /(sluice:\S+:a)\r/.exec(await redis.command('KEYS', '*'));
  const left = await redis.number('PTTL', key);
  assert.ok(left > 0 && left <= 1_800_001, `${left} ms`);
  await limiter.blockAsync('a', '2h');
  assert.ok((await redis.number('PTTL', key)) > 7_100_000, 'a block is kept as long as it lasts');
});

test('keys of any code units and length are distinct', withRedis, async (t) => {
  const { limiter } = await opened(t, { limit: 1, window: '1h' });
  const long = 'k'.repeat(1000);
  const keys = ['a', 'A', 'é', '\ud800', '\ud801', '\0', ' ', '}', '#', long, `${long}l`, '#'.repeat(33)];
  const decisions = await Promise.all(keys.map((key) => limiter.consumeAsync(key)));
  assert.ok(decisions.every(({ allowed }) => allowed));
  const again = await Promise.all(keys.map((key) => limiter.consumeAsync(key)));
  assert.ok(again.every(({ allowed }) => !allowed));
});

test('a dry run admits, and says what it would have refused', withRedis, async (t) => {
  const { limiter } = await opened(t, { limit: 1, window: '1h', dryRun: true });
  assert.equal((await limiter.consumeAsync('a')).wouldRefuse, false);
  const { allowed, wouldRefuse, retryAfterMs } = await limiter.consumeAsync('a');
  assert.deepEqual([allowed, wouldRefuse, retryAfterMs], [true, true, 0]);
  assert.equal(limiter.stats().dryRefused, 1);
});

test('reconfigure holds for the next call, and what was used stays used', withRedis, async (t) => {
  const { limiter } = await opened(t, { limit: 10, window: '1h' });
  await limiter.consumeAsync('a', 10);
  await limiter.consumeAsync('a');
  limiter.reconfigure({ limit: 20, window: '2h' });
  const { allowed, limit, remaining } = await limiter.consumeAsync('a', 1);
  assert.deepEqual([allowed, limit, remaining], [true, 20, 9]);
  limiter.reconfigure({ limit: 2, window: '1h' });
  assert.equal((await limiter.peekAsync('a')).remaining, 0);
});

test('retryAfterMs is exact: not a millisecond too early', withRedis, async (t) => {
  const { limiter } = await opened(t, { limit: 1, window: '1s' });
  let refused;
  do refused = await limiter.consumeAsync('a');
  while (refused.allowed);
  const { retryAfterMs } = refused;
  assert.ok(retryAfterMs > 0 && retryAfterMs <= 1000);
  const due = performance.now() + retryAfterMs;
  // A timer may fire a little early.
  while (performance.now() < due) await delay(due - performance.now());
  assert.equal((await limiter.consumeAsync('a')).allowed, true);
});

test(
  'a test that resets the process gives up what is pending, and another scope may follow',
  withRedis,
  async (t) => {
    const { redis, limiter } = await opened(t, { limit: 10, window: '1h' });
    redis.pause();
    const pending = limiter.consumeAsync('a');
    testing.reset();
    await assert.rejects(pending, { code: 'ERR_SLUICE_CLOSED' });
    redis.resume();
    await limiter.ready({ timeout });
    const other = new RateLimiter(limiter.name, { limit: 10, window: '1h' });
    assert.equal(other.tryConsume('a', 10), true, 'in this process from now on');
  },
);

test('calls that a thread leaves are sent although it is blocked then', withRedis, async (t) => {
  const { limiter } = await opened(t, { limit: 10, window: '1h' }, { timeout: '3s' });
  const decide = () => Array.from({ length: 5 }, (_, n) => limiter.consumeAsync(`client ${n}`));
  // The second round gathers, as the first was answered together.
  for (const round of [1, 2]) {
    const pending = decide();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_500);
    const sources = (await Promise.all(pending)).map(({ source }) => source);
    assert.deepEqual(sources, Array(5).fill('redis'), `round ${round}`);
  }
});
