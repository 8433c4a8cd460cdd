// sluice/testing: a manual clock for decisions, reports and deadlines.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import deadlines from '../../lib/runtime/deadline.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';

const { ConnectionTracker, RateLimiter } = sluice;
const { manualClock } = testing;

const LATEST = Date.UTC(2100, 0, 1);

test('manualClock() stops the clock at a whole millisecond; restore() lets it run again', (t) => {
  const before = Date.now();
  const clock = manualClock();
  t.after(() => clock.restore());
  const { now } = clock;
  assert.ok(Number.isInteger(now) && Math.abs(now - before) < 60_000);
  while (Date.now() < before + 5);
  assert.equal(clock.now, now);
  clock.restore();
  assert.ok(clock.now > now);
});

test('now returns the whole milliseconds that were set, at any date', (t) => {
  const clock = manualClock();
  t.after(() => clock.restore());
  for (let day = 0; day < 40_000; day++) {
    const ms = day * 86_400_000 + ((day * 7919) % 86_400_000);
    clock.set(ms);
    assert.equal(clock.now, ms);
  }
});

test('set() and advance() apply to decisions and reports', (t) => {
  const clock = manualClock();
  t.after(() => clock.restore());
  clock.set(Date.UTC(2040, 0, 1));
  assert.equal(clock.now, Date.UTC(2040, 0, 1));
  const limiter = new RateLimiter(freshName(), { limit: 1, window: '1h' });
  limiter.tryConsume('a');
  for (const [duration, rest] of [
    ['30m', 1_800_000],
    [1000, 1_799_000],
    ['0ms', 1_799_000],
    ['1798999ms', 1],
  ]) {
    clock.advance(duration);
    assert.equal(limiter.peek('a').retryAfterMs, rest);
  }
  assert.equal(new ConnectionTracker(freshName(), {}).tryOpen('192.0.2.1').openedAt, clock.now);
});

test('all manual clocks are the same clock', (t) => {
  const [one, other] = [manualClock(), manualClock()];
  t.after(() => one.restore());
  one.set(5_000);
  other.advance(1);
  assert.equal(one.now, 5_001);
  other.restore();
  assert.ok(one.now > 5_001);
});

test('a clock that is set back refuses no client for longer than a window', (t) => {
  const clock = manualClock();
  t.after(() => clock.restore());
  clock.set(Date.UTC(2050, 0, 1));
  const limiter = new RateLimiter(freshName(), { limit: 2, window: '1m' });
  limiter.tryConsume('a', 2);
  clock.set(Date.UTC(2020, 0, 1));
  assert.deepEqual([limiter.peek('a').retryAfterMs, limiter.peek('a').resetAfterMs], [30_000, 60_000]);
});

test('deadlines follow the clock', async (t) => {
  const clock = manualClock();
  t.after(() => clock.restore());
  const tracker = new ConnectionTracker(freshName(), {});
  tracker.tryOpen('192.0.2.1');
  const drained = tracker.drain({ timeout: '30d' });
  clock.advance('30d');
  assert.equal(await drained, false);
});

test('a deadline cancelled by another that is due at the same time does not run', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const done = [];
  const first = new deadlines.Deadline(10, () => {
    done.push('first');
    second.cancel();
  });
  const second = new deadlines.Deadline(10, () => done.push('second'));
  const after = new Promise((resolve) => new deadlines.Deadline(20, resolve));
  clock.advance(20);
  await after;
  first.cancel();
  assert.deepEqual(done, ['first']);
});

test('a deadline set under a stopped clock continues when the clock runs again', {
  timeout: 10_000,
}, async (t) => {
  const clock = manualClock();
  t.after(() => clock.restore());
  const tracker = new ConnectionTracker(freshName(), {});
  tracker.tryOpen('192.0.2.1');
  const drained = tracker.drain({ timeout: 20 });
  clock.restore();
  assert.equal(await drained, false);
});

test('an invalid time or duration throws and does not move the clock', (t) => {
  const clock = manualClock();
  t.after(() => clock.restore());
  clock.set(1000);
  for (const ms of [-1, 0.5, NaN, Infinity, '1000', undefined, LATEST + 1, 5n]) {
    assert.throws(() => clock.set(ms), { code: 'ERR_SLUICE_INVALID_OPTION', message: /^clock time is / });
  }
  for (const duration of [-1, 0.5, '1', 'soon', undefined, Infinity]) {
    assert.throws(() => clock.advance(duration), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: /^clock duration is /,
    });
  }
  assert.equal(clock.now, 1000);
  clock.set(LATEST);
  assert.throws(() => clock.advance(1), { code: 'ERR_SLUICE_INVALID_OPTION', message: /at most 0 ms/ });
  assert.equal(clock.now, LATEST);
});

test('at the latest date a limiter still works with a block of a century', (t) => {
  const clock = manualClock();
  t.after(() => clock.restore());
  clock.set(LATEST);
  const limiter = new RateLimiter(freshName(), { limit: 1, window: '1h' });
  assert.equal(limiter.block('a', '36525d'), true);
  assert.deepEqual(
    [limiter.tryConsume('a'), limiter.tryConsume('b'), limiter.tryConsume('b')],
    [false, true, false],
  );
});
