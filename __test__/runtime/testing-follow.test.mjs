// sluice/testing: manualClock({ follow: 'timers' }), driven by the fake timers of node:test. Those of jest and vitest drive it
// in __test__/runners.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName, startPeers } from '../helpers/peer.mjs';

const { Broker, CircuitBreaker, ClientHub, RateLimiter, Reputation } = sluice;
const { manualClock } = testing;

const START = Date.UTC(2035, 0, 1);

/** A clock that follows the timers of the test. */
function follow(t, { apis = ['Date', 'setTimeout', 'setInterval', 'setImmediate'], now = START } = {}) {
  t.mock.timers.enable({ apis, now });
  const clock = manualClock({ follow: 'timers' });
  t.after(() => {
    clock.restore();
    // Node.js does it by itself, Deno does not.
    t.mock.timers.reset();
  });
  return clock;
}

test('limits, bans and reported dates follow the fake date', (t) => {
  const clock = follow(t);
  assert.equal(clock.now, START);
  const limiter = new RateLimiter(freshName(), { limit: 1, window: '1m' });
  assert.deepEqual([limiter.tryConsume('ada'), limiter.tryConsume('ada')], [true, false]);
  t.mock.timers.tick(59_999);
  assert.equal(limiter.peek('ada').retryAfterMs, 1);
  t.mock.timers.tick(1);
  assert.equal(limiter.tryConsume('ada'), true);
  const rules = { maxFailures: 1, findTime: '1m', banTime: '1h', maxBanTime: '1h' };
  const reputation = new Reputation(freshName(), rules);
  const { until } = reputation.recordFailure('203.0.113.7');
  assert.equal(until, Date.now() + 3_600_000);
  t.mock.timers.setTime(until);
  assert.equal(reputation.isBanned('203.0.113.7'), false);
  assert.equal(clock.now, until);
});

test('timers of the application decide by the date at which they fire', (t) => {
  follow(t);
  const limiter = new RateLimiter(freshName(), { limit: 1, window: '10s' });
  const admitted = [];
  setInterval(() => limiter.tryConsume('ada') && admitted.push(Date.now() - START), 1_000);
  // node:test sets the date to the end of a tick before it runs what is due within it.
  for (let second = 0; second < 35; second++) t.mock.timers.tick(1_000);
  assert.deepEqual(admitted, [1_000, 11_000, 21_000, 31_000]);
});

test('timeouts and expiries fire with the fake timers', async (t) => {
  follow(t);
  const breaker = new CircuitBreaker(freshName(), { openFor: '10s', timeout: '5s' });
  const call = breaker.fire('upstream', () => new Promise(() => {}));
  let settled = false;
  call.catch(() => {
    settled = true;
  });
  t.mock.timers.tick(4_999);
  await null;
  await null;
  assert.equal(settled, false);
  t.mock.timers.tick(1);
  await assert.rejects(call, { code: 'ERR_SLUICE_TIMEOUT' });

  const hub = new ClientHub(freshName());
  let made = 0;
  const init = async () => ++made;
  assert.equal(await hub.getOrInit('key', init, { ttl: '1m' }), 1);
  t.mock.timers.tick(59_999);
  assert.equal(await hub.getOrInit('key', init, { ttl: '1m' }), 1);
  t.mock.timers.tick(1);
  assert.equal(await hub.getOrInit('key', init, { ttl: '1m' }), 2);
});

// Deno's fake timers replace `setImmediate` for those as well that have read it before.
const fakesAll = globalThis.Deno !== undefined;

test('a call of a broker is answered while timers are faked', { skip: fakesAll }, async (t) => {
  follow(t);
  const name = freshName();
  const broker = new Broker(name);
  t.after(() => broker.close({ timeout: 0 }));
  broker.handle('echo', async (payload) => payload);
  assert.equal(await broker.call('echo', 'hello'), 'hello');
});

test('a deadline from before the timers were faked fires once they have passed it', async (t) => {
  const hub = new ClientHub(freshName());
  const call = hub.getOrInit('key', () => new Promise(() => {}), { timeout: '1m' });
  const rejected = assert.rejects(call, { code: 'ERR_SLUICE_TIMEOUT' });
  const clock = follow(t, { apis: ['Date', 'setTimeout'], now: Date.now() });
  t.mock.timers.tick(60_001);
  // Reads the date: the deadline then learns of it in a turn of the event loop.
  assert.ok(clock.now > 0);
  await rejected;
});

test('a date that goes back leaves bans and timeouts what they had left', (t) => {
  const clock = follow(t);
  const rules = { maxFailures: 1, findTime: '1m', banTime: '1h', maxBanTime: '1h' };
  const reputation = new Reputation(freshName(), rules);
  reputation.recordFailure('203.0.113.7');
  t.mock.timers.setTime(START - 86_400_000);
  assert.equal(reputation.check('203.0.113.7').retryAfterMs, 3_600_000);
  assert.equal(clock.now, START - 86_400_000);
  t.mock.timers.tick(3_600_000);
  assert.equal(reputation.isBanned('203.0.113.7'), false);
});

test('the date of 1970, and dates beyond the range', (t) => {
  const clock = follow(t, { now: 0 });
  const limiter = new RateLimiter(freshName(), { limit: 2, window: '1m' });
  assert.deepEqual(
    [1, 2, 3].map(() => limiter.tryConsume('ada')),
    [true, true, false],
  );
  t.mock.timers.tick(30_000);
  assert.equal(limiter.tryConsume('ada'), true);
  t.mock.timers.setTime(Date.UTC(2300, 0, 1));
  assert.equal(clock.now, Date.UTC(2100, 0, 1));
});

test('real timers: the clock is the real date', (t) => {
  const clock = manualClock({ follow: 'timers' });
  t.after(() => clock.restore());
  const before = Date.now();
  while (Date.now() < before + 5);
  assert.ok(clock.now >= before + 5 && clock.now <= Date.now());
});

test('restore ends it; set and advance are refused until then', (t) => {
  const clock = follow(t);
  for (const move of [() => clock.set(5), () => clock.advance('1s'), () => manualClock().set(5)]) {
    assert.throws(move, { code: 'ERR_SLUICE_UNSUPPORTED', message: /follows timers; accepted/ });
  }
  clock.restore();
  const real = clock.now;
  assert.ok(Math.abs(real - START) > 86_400_000);
  t.mock.timers.tick(86_400_000);
  assert.ok(clock.now - real < 60_000);
  const other = manualClock();
  other.set(START);
  t.mock.timers.tick(1_000);
  assert.equal(other.now, START);
  other.restore();
});

test('other threads see the date that this one has read last', async (t) => {
  const [peer] = startPeers(t, 1);
  const name = freshName();
  const ask = ({ load, state }, name) => {
    state.limiter ??= new (load().RateLimiter)(name, { limit: 1, window: '1m' });
    return state.limiter.tryConsume('ada');
  };
  const clock = follow(t, { apis: ['Date', 'setTimeout'] });
  assert.deepEqual([await peer.run(ask, name), await peer.run(ask, name)], [true, false]);
  t.mock.timers.tick(60_000);
  assert.equal(clock.now, START + 60_000);
  assert.equal(await peer.run(ask, name), true);
});

test('the clock may be set after the thread that it followed has ended', async (t) => {
  const file = JSON.stringify(fileURLToPath(new URL('../../lib/testing.js', import.meta.url)));
  const worker = new Worker(`require(${file}).manualClock({ follow: 'timers' })`, { eval: true });
  await once(worker, 'exit');
  const clock = manualClock();
  t.after(() => clock.restore());
  clock.set(START);
  assert.equal(clock.now, START);
});

test('a date that throws, or is no number, leaves the clock where it was', (t) => {
  const clock = follow(t);
  t.mock.timers.reset();
  const { now } = Date;
  const stood = clock.now;
  for (const broken of [
    () => {
      throw new Error('no date');
    },
    () => Number.NaN,
    () => 'a text',
  ]) {
    Date.now = broken;
    try {
      const limiter = new RateLimiter(freshName(), { limit: 1, window: '1m' });
      assert.deepEqual([limiter.tryConsume('ada'), limiter.tryConsume('ada')], [true, false]);
      assert.ok(clock.now - stood < 60_000);
    } finally {
      Date.now = now;
    }
  }
});

test('options', () => {
  for (const options of [{ follow: 'date' }, { follow: true }, { follows: 'timers' }, 'timers', null]) {
    assert.throws(() => manualClock(options), { code: 'ERR_SLUICE_INVALID_OPTION' });
  }
  assert.throws(() => manualClock({ follow: 'date' }), {
    message: 'manualClock follow is "date"; accepted: "timers"',
  });
});
