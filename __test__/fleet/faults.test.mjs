// What goes wrong with a server: each call is answered in time and once, what is charged is exact, and it heals by itself.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import sluice from '../../index.js';
import { lateness } from '../helpers/fleet-lateness.mjs';
import { freshName } from '../helpers/peer.mjs';
import { freePort, startProxy, startRedis, withRedis } from '../helpers/redis.mjs';

const { RateLimiter } = sluice;

const TIMEOUT = 50;
/** More than the deadline for a thread that has to wait for its turn on a busy machine. */
const SLACK = 400;
/** Until a native thread has its turn beside those of other tests. */
const TURN = 60;
const HOUR = { limit: 1_000_000, window: '1h' };

function open(url, scope, quota = HOUR) {
  const given = { redis: url, onError: 'deny', timeout: TIMEOUT, ...scope };
  return new RateLimiter(freshName(), { ...quota, scope: given });
}

/** A call, with how long it took. */
async function timed(limiter, key = 'a', cost = 1) {
  const startedAt = performance.now();
  const decision = await limiter.consumeAsync(key, cost);
  return { ...decision, ms: performance.now() - startedAt };
}

/** Resolves once the link says that this is wrong. */
async function failed(limiter, why) {
  while (!why.test(limiter.stats().fleet.lastError)) await delay(5);
}

async function healed(limiter) {
  for (;;) {
    await limiter.ready({ timeout: '20s' });
    const { degraded } = await limiter.consumeAsync('healing');
    if (!degraded) return;
    await delay(5);
  }
}

/** Units that the server has counted for a key. */
async function used(limiter, key = 'a') {
  await healed(limiter);
  for (;;) {
    const { degraded, limit, remaining } = await limiter.peekAsync(key);
    if (!degraded) return limit - remaining;
  }
}

test(
  'a paused server: the deadline, then answers at once; what it missed is not charged',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    // One unit an hour returns, so counts are exact.
    const limiter = open(redis.url, {}, { limit: 1000, window: '30d' });
    await limiter.ready();
    const before = await used(limiter);
    redis.pause();
    const late = lateness();
    const first = await Promise.all(Array.from({ length: 20 }, () => timed(limiter)));
    const most = TIMEOUT + 10 + 3 * late.end() + TURN;
    for (const { allowed, degraded, source, ms } of first) {
      assert.deepEqual([allowed, degraded, source], [false, true, 'deny']);
      assert.ok(ms >= TIMEOUT - 2 && ms < most, `${ms} ms of ${most}`);
    }
    // Undefined where the answer is not there before the next turn of the event loop: the link may just connect again.
    let atOnce;
    while (atOnce === undefined) {
      while (limiter.stats().fleet.state !== 'away') await timed(limiter);
      atOnce = await Promise.race([limiter.consumeAsync('a'), turn()]);
    }
    assert.equal(atOnce.retryAfterMs, 1000);
    redis.resume();
    assert.equal(
      await used(limiter),
      before,
      'nothing is charged for calls that were answered without the server',
    );
    const { fleet } = limiter.stats();
    assert.ok(fleet.timeouts >= 20 && fleet.failures.away >= 1 && fleet.local >= 21);
  },
);

test('a killed server: answers at once; after a restart it heals by itself', withRedis, async (t) => {
  const redis = await startRedis(t, { persists: true });
  const limiter = open(redis.url, { timeout: '5s' }, { limit: 1000, window: '30d' });
  await limiter.ready();
  for (let n = 0; n < 10; n++) assert.equal((await timed(limiter)).degraded, false);
  await redis.kill();
  const late = lateness();
  const answered = [];
  for (let n = 0; n < 50; n++) answered.push(await timed(limiter));
  const most = TIMEOUT + SLACK + late.end();
  for (const { degraded, ms } of answered) {
    assert.equal(degraded, true);
    assert.ok(ms < most, `${ms} ms of ${most}`);
  }
  await assert.rejects(limiter.ready({ timeout: 300 }), /127\.0\.0\.1:\d+\/0 cannot be reached: .*refused/i);
  await redis.start();
  assert.equal(await used(limiter), 10, 'a persistent server has lost nothing, and nothing was sent twice');
});

test(
  'cuts: at most what was in flight is answered without the server, and nothing is charged twice',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    const proxy = await startProxy(t, redis.port);
    const limiter = open(proxy.url, { timeout: '5s' }, { limit: 1000, window: '30d' });
    await limiter.ready();
    let decided = 0;
    let unknown = 0;
    for (let n = 0; n < 10; n++) {
      const calls = Array.from({ length: 8 }, () => timed(limiter));
      setImmediate(() => proxy.cut());
      for (const { degraded } of await Promise.all(calls)) {
        if (degraded) unknown += 1;
        else decided += 1;
      }
    }
    const charged = await used(limiter);
    assert.ok(charged >= decided && charged <= decided + unknown, `${charged} of ${decided} + ${unknown}`);
    assert.ok(limiter.stats().fleet.connections > 1);
  },
);

test(
  'an answer that comes after its deadline: the charge is taken back where the call was refused',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    const proxy = await startProxy(t, redis.port);
    const limiter = open(proxy.url, {}, { limit: 1000, window: '30d' });
    await limiter.ready();
    // The server decides in time, and its answer is late.
    proxy.hold();
    assert.equal((await timed(limiter, 'a', 7)).source, 'deny');
    proxy.release();
    const direct = open(redis.url, { timeout: '5s' }, { limit: 1000, window: '30d' });
    assert.equal((await direct.peekAsync('a')).remaining, 1000, 'another name');
    for (;;) {
      const units = await used(limiter);
      if (units === 0) break;
      await delay(5);
    }
  },
);

test(
  'a far server: what one turn asks does not wait for the answer to another call',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    const proxy = await startProxy(t, redis.port);
    const timeout = 3000;
    const limiter = open(proxy.url, { timeout });
    await limiter.ready();
    proxy.delayMs = 50;
    await timed(limiter);
    // Past its deadline, nothing has the link look at its calls before the next one.
    await delay(timeout);
    proxy.hold();
    const first = timed(limiter);
    await delay(5);
    const others = Array.from({ length: 20 }, (_, n) => timed(limiter, `client ${n}`));
    await redis.until((reply) => reply.startsWith('*20\r\n'), 'KEYS', '*:client *');
    proxy.release();
    for (const { degraded, ms } of await Promise.all([first, ...others])) {
      assert.equal(degraded, false, `after ${ms} ms`);
    }
  },
);

test('SCRIPT FLUSH: the script is sent again, and no call fails', withRedis, async (t) => {
  const redis = await startRedis(t);
  const limiter = open(redis.url, { timeout: '5s' }, { limit: 1000, window: '30d' });
  await limiter.ready();
  for (let n = 0; n < 5; n++) {
    assert.equal((await timed(limiter)).degraded, false);
    await redis.command('SCRIPT', 'FLUSH');
  }
  assert.equal(await used(limiter), 5);
});

test('a key of something else fails its callers alone, and is not overwritten', withRedis, async (t) => {
  const redis = await startRedis(t);
  const limiter = open(redis.url, { timeout: '5s', prefix: 'p:' });
  await limiter.ready();
  await limiter.consumeAsync('theirs');
  const [, key] = /(p:\S+:theirs)\r/.exec(await redis.command('KEYS', 'p:*'));
  await redis.command('DEL', key);
  await redis.command('LPUSH', key, 'x');
  const [theirs, other] = await Promise.all([timed(limiter, 'theirs'), timed(limiter, 'other')]);
  assert.deepEqual([theirs.degraded, other.degraded], [true, false]);
  assert.equal(limiter.stats().fleet.failures.foreign, 1);
  await assert.rejects(limiter.blockAsync('theirs', '1m'), {
    code: 'ERR_SLUICE_SCOPE_UNAVAILABLE',
    message: /the key holds something that this library did not write/,
  });
  assert.match(await redis.command('TYPE', key), /list/);
});

test('a server without memory answers with errors, and stays connected', withRedis, async (t) => {
  const redis = await startRedis(t, { args: ['--maxmemory-policy', 'noeviction'] });
  const limiter = open(redis.url, { timeout: '5s' });
  await limiter.ready();
  await redis.command('CONFIG', 'SET', 'maxmemory', '1');
  assert.equal((await timed(limiter)).degraded, true);
  const { fleet } = limiter.stats();
  assert.deepEqual([fleet.state, fleet.failures.refused, fleet.connections], ['ready', 1, 1]);
  assert.match(fleet.lastError, /OOM/);
  assert.equal(fleet.evictionPolicy, 'noeviction');
  await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  assert.equal((await timed(limiter)).degraded, false);
});

test('a master that becomes a replica is left, until it takes writes again', withRedis, async (t) => {
  const redis = await startRedis(t);
  const limiter = open(redis.url);
  await limiter.ready();
  await redis.command('REPLICAOF', '127.0.0.1', await freePort());
  do assert.equal((await timed(limiter)).degraded, true);
  while (!/is a replica/.test(limiter.stats().fleet.lastError));
  await assert.rejects(limiter.ready({ timeout: 300 }), {
    code: 'ERR_SLUICE_SCOPE_UNAVAILABLE',
    message: /cannot be asked within 300 ms: .*is a replica, which takes no writes/,
  });
  await redis.command('REPLICAOF', 'NO', 'ONE');
  await healed(limiter);
});

test(
  'a wrong password and a server that does not listen: answers at once, and ready says why',
  withRedis,
  async (t) => {
    const redis = await startRedis(t, { args: ['--requirepass', 'right'] });
    const wrong = open(redis.url.replace('//', '//:hunter2@'));
    assert.equal((await timed(wrong)).degraded, true);
    await failed(wrong, /refuses the user/);
    await assert.rejects(wrong.ready({ timeout: 200 }), (error) => {
      assert.equal(error.code, 'ERR_SLUICE_SCOPE_UNAVAILABLE');
      assert.match(error.message, /127\.0\.0\.1:\d+\/0 refuses the user or the password/);
      assert.doesNotMatch(error.message + JSON.stringify(wrong.stats()), /hunter2/);
      return true;
    });
    await open(redis.url.replace('//', '//:right@')).ready({ timeout: '20s' });

    const nowhere = open(`redis://127.0.0.1:${await freePort()}`);
    const late = lateness();
    const { ms } = await timed(nowhere);
    assert.ok(ms < TIMEOUT + SLACK + late.end(), `${ms} ms`);
    await failed(nowhere, /cannot be reached/);
    await assert.rejects(nowhere.ready({ timeout: 100 }), /cannot be reached/);
  },
);

test('onError decides: local by the same limits, allow, deny', withRedis, async () => {
  const url = `redis://127.0.0.1:${await freePort()}`;
  const outcomes = async (onError) => {
    const limiter = open(url, { onError }, { limit: 2, window: '1h' });
    const decisions = [];
    for (let n = 0; n < 3; n++) decisions.push(await limiter.consumeAsync('a'));
    assert.ok(decisions.every(({ source, degraded }) => source === onError && degraded));
    const { allowed, refused } = limiter.stats();
    assert.equal(allowed + refused, 3);
    return decisions.map(({ allowed }) => allowed);
  };
  assert.deepEqual(await outcomes('local'), [true, true, false]);
  assert.deepEqual(await outcomes('allow'), [true, true, true]);
  assert.deepEqual(await outcomes('deny'), [false, false, false]);
});

for (const mode of ['exact', 'lease']) {
  test(`${mode}: local goes on from what the server knew`, withRedis, async (t) => {
    const redis = await startRedis(t);
    const scope = { mode, onError: 'local', timeout: '5s' };
    const limiter = open(redis.url, scope, { limit: 10, window: '30d' });
    await limiter.ready();
    for (let n = 0; n < 7; n++) assert.equal((await limiter.consumeAsync('a')).allowed, true);
    await redis.kill();
    let admitted = 0;
    for (let n = 0; n < 20; n++) {
      if ((await limiter.consumeAsync('a')).allowed) admitted += 1;
    }
    // Of a lease, units that are held may be charged and not used.
    assert.ok(mode === 'exact' ? admitted === 3 : admitted <= 3, `${admitted} admitted`);
    assert.equal((await limiter.consumeAsync('a')).source, 'local');
    assert.equal(
      (await limiter.consumeAsync('b')).remaining,
      9,
      'a client that it did not know has a full quota',
    );
  });
}

test('what cannot be done without the server rejects', withRedis, async () => {
  const limiter = open(`redis://127.0.0.1:${await freePort()}`, { timeout: '5s' });
  for (const call of [
    () => limiter.refundAsync('a'),
    () => limiter.penalizeAsync('a'),
    () => limiter.blockAsync('a', '1m'),
    () => limiter.resetAsync('a'),
  ]) {
    await assert.rejects(call, { code: 'ERR_SLUICE_SCOPE_UNAVAILABLE', message: /cannot be reached/ });
  }
});
