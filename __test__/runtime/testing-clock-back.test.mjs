// Setting the test clock back, or restoring it from a later date, prolongs nothing: every span of every component has as
// much time left as before. Each test starts a span at one date and continues it at an earlier one.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';

const { Broker, CircuitBreaker, ClientHub, ConnectionTracker, Lifecycle, Reputation, createGuard } = sluice;

const LATER = Date.UTC(2090, 0, 1);
const EARLIER = Date.UTC(2020, 0, 1);
const SPAN = 10_000;

/** Ways to set the clock back and let the rest of the span pass. */
const WAYS = {
  'set back': (clock) => {
    clock.advance(SPAN / 2);
    clock.set(EARLIER);
    clock.advance(SPAN / 2);
  },
  'set back and then nearly to the end': async (clock) => {
    clock.set(EARLIER);
    await new Promise(setImmediate);
    clock.advance(SPAN - 1);
    await new Promise(setImmediate);
    clock.advance(1);
  },
  restored: (clock) => {
    clock.advance(SPAN - 20);
    clock.restore();
  },
};

/** Each starts something that ends after `SPAN` milliseconds and returns a function that awaits its end. */
const SPANS = {
  'Lifecycle.shutdown with work that never ends': () => {
    const lifecycle = new Lifecycle(freshName());
    lifecycle.track(new Promise(() => {}));
    const ended = lifecycle.shutdown({ timeout: SPAN });
    return async () => assert.equal((await ended).tasksLeft, 1);
  },
  'the delay of Lifecycle.shutdown': () => {
    const ended = new Lifecycle(freshName()).shutdown({ delay: SPAN });
    return async () => assert.equal((await ended).drained, true);
  },
  'a hook with its own timeout': () => {
    const lifecycle = new Lifecycle(freshName());
    lifecycle.onShutdown(() => new Promise(() => {}), { name: 'stuck', timeout: SPAN });
    const ended = lifecycle.shutdown({ timeout: '1h' });
    return async () => assert.match((await ended).hooks[0].error.message, /has not ended after/);
  },
  'ConnectionTracker.drain': () => {
    const tracker = new ConnectionTracker(freshName(), {});
    tracker.tryOpen('192.0.2.1');
    const drained = tracker.drain({ timeout: SPAN });
    return async () => assert.equal(await drained, false);
  },
  'the initialiser of a ClientHub': () => {
    const made = new ClientHub(freshName()).getOrInit('key', () => new Promise(() => {}), { timeout: SPAN });
    return () => assert.rejects(made, { code: 'ERR_SLUICE_TIMEOUT' });
  },
  'a call through a CircuitBreaker': () => {
    const breaker = new CircuitBreaker(freshName(), { openFor: '1s', timeout: SPAN });
    const fired = breaker.fire('peer', () => new Promise(() => {}));
    return () => assert.rejects(fired, { code: 'ERR_SLUICE_TIMEOUT' });
  },
  'Broker.close with a handler that never answers': () => {
    const broker = new Broker(freshName());
    broker.handle('stuck', () => new Promise(() => {}));
    const called = broker.call('stuck', null, { timeout: '1h' });
    const refused = assert.rejects(called, { code: 'ERR_SLUICE_CLOSED' });
    const closed = broker.close({ timeout: SPAN });
    return () => Promise.all([closed, refused]);
  },
};

for (const [way, goBack] of Object.entries(WAYS)) {
  for (const [what, begin] of Object.entries(SPANS)) {
    test(`${what}: ${way}`, { timeout: 10_000 }, async (t) => {
      const clock = testing.manualClock();
      t.after(() => clock.restore());
      clock.set(LATER);
      const ends = begin();
      await new Promise(setImmediate);
      await goBack(clock);
      await ends();
    });
  }
}

test('guard.shutdown with a client that stays connected', { timeout: 10_000 }, async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  clock.set(LATER);
  const server = net.createServer(() => {});
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const guard = createGuard(freshName()).attach(server);
  const accepted = once(server, 'connection');
  const client = net.connect(server.address().port, '127.0.0.1').on('error', () => {});
  t.after(() => client.destroy());
  await accepted;
  const ended = guard.shutdown({ timeout: SPAN });
  clock.set(EARLIER);
  clock.advance(SPAN);
  assert.deepEqual(await ended, { drained: false, forced: 1 });
});

test('calls of a Broker end at their own deadlines, whether made before or after the move', {
  timeout: 10_000,
}, async (t) => {
  const clock = testing.manualClock();
  const broker = new Broker(freshName());
  t.after(() => {
    clock.restore();
    return broker.close({ timeout: 0 });
  });
  clock.set(LATER);
  broker.handle('stuck', () => new Promise(() => {}));
  const timesOut = (timeout) =>
    assert.rejects(broker.call('stuck', null, { timeout }), { code: 'ERR_SLUICE_TIMEOUT' });
  const long = timesOut(SPAN);
  await new Promise(setImmediate);
  clock.set(EARLIER);
  const short = timesOut(SPAN / 10);
  await new Promise(setImmediate);
  clock.advance(SPAN / 10 + 8);
  await short;
  clock.advance(SPAN);
  await long;
});

test('the deadline passed to a handler is a date of the clock, before and after the move', async (t) => {
  const clock = testing.manualClock();
  const broker = new Broker(freshName());
  t.after(() => {
    clock.restore();
    return broker.close({ timeout: 0 });
  });
  broker.handle('deadline', (_, { deadline }) => deadline);
  for (const date of [LATER, EARLIER, LATER, EARLIER]) {
    clock.set(date);
    assert.equal(await broker.call('deadline', null, { timeout: SPAN }), date + SPAN);
  }
});

test('calls through a CircuitBreaker end at their own deadlines, and the move makes none slow', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  clock.set(LATER);
  const options = { openFor: '1s', timeout: SPAN, slowCallDuration: '1s' };
  const breaker = new CircuitBreaker(freshName(), options);
  const stuck = () => breaker.fire('peer', () => new Promise(() => {}));
  const [first, second] = [
    assert.rejects(stuck(), { code: 'ERR_SLUICE_TIMEOUT' }),
    breaker.tryAcquire('peer'),
  ];
  clock.set(EARLIER);
  second.success();
  assert.equal(breaker.stats().slowCalls, 0);
  const third = assert.rejects(stuck(), { code: 'ERR_SLUICE_TIMEOUT' });
  clock.advance(SPAN);
  await Promise.all([first, third]);
});

test('bans keep their remaining time, and an expired ban does not return', (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  clock.set(LATER);
  const options = { maxFailures: 1, findTime: '1h', banTime: SPAN, maxBanTime: '1d' };
  const reputation = new Reputation(freshName(), options);
  reputation.ban('192.0.2.9', { duration: 1 });
  clock.advance(1);
  reputation.ban('192.0.2.1', { duration: SPAN });
  reputation.ban('198.51.100.0/24', { duration: SPAN });
  reputation.recordFailure('203.0.113.1');
  const banned = ['192.0.2.1', '198.51.100.7', '203.0.113.1'];
  clock.set(EARLIER);
  for (const ip of banned) {
    assert.deepEqual([reputation.check(ip).retryAfterMs, reputation.check(ip).until], [SPAN, EARLIER + SPAN]);
  }
  assert.equal(reputation.isBanned('192.0.2.9'), false);
  clock.advance(SPAN - 1);
  assert.deepEqual(
    banned.map((ip) => reputation.isBanned(ip)),
    [true, true, true],
  );
  clock.advance(1);
  assert.deepEqual(
    banned.map((ip) => reputation.isBanned(ip)),
    [false, false, false],
  );
  assert.deepEqual(reputation.bans(), []);
});

test('quotas of a connection refill, and it becomes idle, after the same time', (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  clock.set(LATER);
  const quota = { limit: 1, window: SPAN };
  const tracker = new ConnectionTracker(freshName(), { messages: quota, bytes: { limit: 10, window: SPAN } });
  const connection = tracker.tryOpen('192.0.2.1');
  assert.deepEqual([connection.tryMessage(10), connection.tryMessage(1)], [true, false]);
  clock.set(EARLIER);
  clock.advance(SPAN - 1);
  assert.deepEqual([connection.tryMessage(10), tracker.closeIdle(SPAN)], [false, 0]);
  clock.advance(1);
  assert.equal(connection.tryMessage(10), true);
  clock.set(Date.UTC(2000, 0, 1));
  clock.advance(SPAN);
  assert.equal(tracker.closeIdle(SPAN), 1);
});

test('a socket becomes idle after the same time', { timeout: 10_000 }, async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  clock.set(LATER);
  const tracker = new ConnectionTracker(freshName(), {});
  const server = net.createServer((socket) => socket.on('error', () => {}));
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  tracker.attach(server);
  const accepted = once(server, 'connection');
  const client = net.connect(server.address().port, '127.0.0.1').on('error', () => {});
  await accepted;
  // The first check records the bytes transferred so far.
  tracker.closeIdle(0);
  await new Promise(setImmediate);
  clock.set(EARLIER);
  clock.advance(SPAN);
  const closed = once(client, 'close');
  client.resume();
  assert.equal(tracker.closeIdle(SPAN), 1);
  await closed;
});

test('the clock can be set back many times', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  for (let round = 0; round < 500; round++) {
    clock.set(LATER);
    const tracker = new ConnectionTracker(freshName(), {});
    tracker.tryOpen('192.0.2.1');
    const drained = tracker.drain({ timeout: SPAN });
    clock.set(0);
    clock.advance(SPAN);
    assert.equal(await drained, false);
    ConnectionTracker.destroy(tracker.name);
  }
});
