// CircuitBreaker: when a circuit opens, becomes half-open and closes. By permits, on a manual clock.
// fire() and wrap() are in fire.test.mjs, several threads in threads.test.mjs, options in options.test.mjs.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';
import { stopClock } from '../helpers/setup.mjs';

const { CircuitBreaker } = sluice;
const clock = stopClock();

const FOUR = { window: { calls: 4 }, minimumCalls: 4, openFor: '1s' };

const fresh = (options) => new CircuitBreaker(freshName(), { ...FOUR, ...options });

/** One call for each letter: `s`uccess, `f`ailure. */
function call(breaker, outcomes, peer = 'db') {
  for (const outcome of outcomes) {
    const permit = breaker.tryAcquire(peer);
    if (outcome === 'f') permit.failure();
    else permit.success();
  }
}

function tripped(options) {
  const breaker = fresh(options);
  call(breaker, 'ffff');
  assert.equal(breaker.state('db'), 'open');
  return breaker;
}

/** How long an open circuit refuses calls; checks that it refuses until then. */
function refusesFor(breaker) {
  const { retryAfterMs } = breaker.stats('db');
  clock.advance(retryAfterMs - 1);
  assert.equal(breaker.tryAcquire('db'), null);
  clock.advance(1);
  return retryAfterMs;
}

test('a circuit opens once at least minimumCalls reach the failure rate', () => {
  for (const [outcomes, expected] of [
    ['', 'closed'],
    ['fff', 'closed'],
    ['ssff', 'open'],
    ['fsss', 'closed'],
    ['fsssf', 'closed'],
    ['fsssff', 'open'],
    ['ffs', 'closed'],
    ['ffss', 'open'],
  ]) {
    const breaker = fresh();
    call(breaker, outcomes);
    assert.equal(breaker.state('db'), expected, outcomes);
  }
});

test('by default a circuit opens at half of the last 100 calls, from 10 calls on', () => {
  const breaker = new CircuitBreaker(freshName(), { openFor: '1s' });
  call(breaker, 'fffffffff');
  assert.equal(breaker.state('db'), 'closed');
  call(breaker, 's');
  assert.equal(breaker.state('db'), 'open');
  call(breaker, `${'s'.repeat(51)}${'f'.repeat(49)}`, 'other');
  assert.equal(breaker.state('other'), 'closed');
  call(breaker, 'f', 'other');
  assert.equal(breaker.state('other'), 'open', 'the 101st call pushes a success out of the window');
});

test('each target has its own circuit', () => {
  const breaker = tripped();
  assert.deepEqual([breaker.state('db'), breaker.state('cache')], ['open', 'closed']);
  assert.notEqual(breaker.tryAcquire('cache'), null);
});

test('slow calls open a circuit; their duration is passed to success() or measured', () => {
  const breaker = fresh({ slowCallDuration: 100, slowCallRate: 0.75 });
  breaker.tryAcquire('db').success(100);
  breaker.tryAcquire('db').success(100.5);
  const [measured, slowFailure] = [breaker.tryAcquire('db'), breaker.tryAcquire('db')];
  clock.advance(101);
  measured.success();
  assert.deepEqual(breaker.stats('db').slowCalls, 2);
  slowFailure.failure();
  assert.equal(breaker.state('db'), 'open');
  assert.deepEqual([breaker.stats().slowCalls, breaker.stats().failures], [3, 1]);
});

test('without slowCallDuration no call is slow', () => {
  const breaker = fresh();
  for (let i = 0; i < 8; i++) breaker.tryAcquire('db').success(1e9);
  assert.equal(breaker.state('db'), 'closed');
});

test('a window of time drops older calls', () => {
  const breaker = fresh({ window: { time: '10s' } });
  call(breaker, 'fff');
  clock.advance('10s');
  call(breaker, 'fff');
  assert.equal(breaker.state('db'), 'closed');
  assert.equal(breaker.stats('db').calls, 3);
  clock.advance('9s');
  call(breaker, 'f');
  assert.equal(breaker.state('db'), 'open');
});

test('an open circuit refuses calls for openFor; the next call is its trial', () => {
  const breaker = tripped();
  clock.advance(999);
  assert.equal(breaker.tryAcquire('db'), null);
  clock.advance(1);
  assert.equal(breaker.state('db'), 'open', 'no call has been made yet');
  const trial = breaker.tryAcquire('db');
  assert.equal(breaker.state('db'), 'halfOpen');
  assert.equal(breaker.tryAcquire('db'), null);
  trial.success();
  assert.equal(breaker.state('db'), 'closed');
  assert.equal(breaker.stats('db').calls, 0, 'a closed circuit starts with an empty window');
});

test('a half-open circuit grants halfOpenCalls permits and applies the rates once all have reported', () => {
  for (const [outcomes, expected] of [
    ['sss', 'closed'],
    ['fss', 'closed'],
    ['ffs', 'open'],
    ['sff', 'open'],
  ]) {
    const breaker = tripped({ halfOpenCalls: 3 });
    clock.advance('1s');
    const trials = [...outcomes].map((outcome) => [outcome, breaker.tryAcquire('db')]);
    assert.equal(breaker.tryAcquire('db'), null);
    for (const [outcome, trial] of trials) {
      assert.equal(breaker.state('db'), 'halfOpen');
      if (outcome === 'f') trial.failure();
      else trial.success();
    }
    assert.equal(breaker.state('db'), expected, outcomes);
  }
});

test('openFor is multiplied by backoff with each opening in a row, up to maxOpenFor', () => {
  const breaker = tripped({ backoff: 3, maxOpenFor: '10s' });
  const delays = [];
  for (let i = 0; i < 4; i++) {
    delays.push(refusesFor(breaker));
    breaker.tryAcquire('db').failure();
  }
  assert.deepEqual(delays, [1000, 3000, 9000, 10_000]);
  assert.equal(breaker.stats('db').openings, 5);
  clock.advance('10s');
  breaker.tryAcquire('db').success();
  call(breaker, 'ffff');
  assert.equal(refusesFor(breaker), 1000, 'closing resets the back-off');
});

test('jitter shortens openFor by up to its share', () => {
  const delays = Array.from({ length: 100 }, () => tripped({ jitter: 0.2 }).stats('db').retryAfterMs);
  assert.ok(
    delays.every((delay) => delay >= 800 && delay <= 1000),
    delays.join(),
  );
  assert.ok(new Set(delays).size > 20);
});

test('the permit of a trial that does not report is granted again, once, when its lease ends', () => {
  for (const [options, lease] of [
    [{}, 1000],
    [{ timeout: 300 }, 300],
  ]) {
    const breaker = tripped(options);
    clock.advance('1s');
    const lost = breaker.tryAcquire('db');
    clock.advance(lease - 1);
    assert.equal(breaker.tryAcquire('db'), null);
    clock.advance(1);
    const next = breaker.tryAcquire('db');
    assert.notEqual(next, null);
    assert.equal(breaker.tryAcquire('db'), null);
    lost.failure();
    assert.equal(breaker.state('db'), 'halfOpen', 'the report of an expired permit is ignored');
    next.success();
    assert.equal(breaker.state('db'), 'closed');
  }
});

test('a permit counts once; further calls on it have no effect', () => {
  const breaker = tripped({ halfOpenCalls: 2 });
  clock.advance('1s');
  const [first, second] = [breaker.tryAcquire('db'), breaker.tryAcquire('db')];
  for (let i = 0; i < 3; i++) {
    first.success();
    first.failure();
    first.release();
    first[Symbol.dispose]();
  }
  assert.equal(breaker.tryAcquire('db'), null);
  second[Symbol.dispose]();
  second.failure();
  const third = breaker.tryAcquire('db');
  assert.equal(breaker.tryAcquire('db'), null);
  third.success();
  assert.equal(breaker.state('db'), 'closed');
});

test('permits of many targets count each for its own, also after the circuit has changed often', () => {
  const breaker = new CircuitBreaker(freshName(), { openFor: '1s', slowCallDuration: '2s' });
  const targets = Array.from({ length: 40 }, (_, n) => `target ${n}`);
  // Each change raises the number that a ticket carries.
  for (let change = 0; change < 300; change++) {
    breaker.isolate(targets[7]);
    breaker.reset(targets[7]);
  }
  const permits = targets.map((target) => breaker.tryAcquire(target));
  clock.advance('2s');
  for (const permit of permits.toReversed()) permit.success();
  clock.advance(1);
  const late = targets.map((target) => breaker.tryAcquire(target));
  clock.advance(2001);
  for (const permit of late) permit.success();
  for (const target of targets) {
    const { calls, failures, slowCalls } = breaker.stats(target);
    assert.deepEqual({ calls, failures, slowCalls }, { calls: 2, failures: 0, slowCalls: 1 }, target);
  }
  const { successes, slowCalls, ignored } = breaker.stats();
  assert.deepEqual({ successes, slowCalls, ignored }, { successes: 80, slowCalls: 40, ignored: 0 });
});

test('a permit counts for its own circuit whatever is called before it reports', () => {
  const [one, other] = [1, 2].map(() => new CircuitBreaker(freshName(), { openFor: '1s' }));
  const permit = one.tryAcquire('a');
  other.tryAcquire('b').failure();
  other.isolate('c');
  assert.equal(other.tryAcquire('c'), null);
  permit.success();
  permit.success();
  const { successes, failures, ignored } = one.stats();
  assert.deepEqual({ successes, failures, ignored }, { successes: 1, failures: 0, ignored: 1 });
  assert.deepEqual([other.stats().failures, other.stats().refused], [1, 1]);
});

test('release() in a closed circuit counts nothing', () => {
  const breaker = fresh();
  for (let i = 0; i < 10; i++) breaker.tryAcquire('db').release();
  assert.deepEqual([breaker.stats('db').calls, breaker.stats().successes], [0, 0]);
});

test('reports of an earlier state are ignored', () => {
  const breaker = fresh();
  const old = Array.from({ length: 9 }, () => breaker.tryAcquire('db'));
  call(breaker, 'ffff');
  old[0].success();
  clock.advance('1s');
  const trial = breaker.tryAcquire('db');
  old[1].failure();
  assert.equal(breaker.state('db'), 'halfOpen');
  trial.success();
  for (const permit of old.slice(2)) permit.failure();
  assert.deepEqual([breaker.state('db'), breaker.stats('db').calls], ['closed', 0]);
  assert.equal(breaker.stats().ignored, 9);
});

test('isolate() refuses all calls and disable() admits all uncounted, until reset()', () => {
  const breaker = fresh();
  breaker.isolate('db');
  clock.advance('30d');
  assert.deepEqual([breaker.state('db'), breaker.tryAcquire('db')], ['isolated', null]);
  breaker.disable('db');
  call(breaker, 'ffffffff');
  assert.deepEqual([breaker.state('db'), breaker.stats('db').calls], ['disabled', 0]);
  breaker.reset('db');
  call(breaker, 'fff');
  breaker.reset('db');
  assert.deepEqual([breaker.state('db'), breaker.stats('db').calls], ['closed', 0]);
  call(breaker, 'ffff');
  breaker.reset('db');
  assert.notEqual(breaker.tryAcquire('db'), null);
  breaker.reset('never called');
  assert.equal(breaker.state('never called'), 'closed');
});

test('at maxPeers only idle closed circuits are evicted', () => {
  const breaker = fresh({ maxPeers: 3 });
  call(breaker, 'ffff', 'open');
  breaker.isolate('isolated');
  for (let i = 0; i < 50; i++) call(breaker, 'f', `peer ${i}`);
  assert.deepEqual([breaker.state('open'), breaker.state('isolated')], ['open', 'isolated']);
  assert.equal(breaker.stats().evicted, 49);
  breaker.disable('disabled');
  call(breaker, 'ffff', 'untracked');
  const { evicted, untracked, peers } = breaker.stats();
  assert.deepEqual(
    { evicted, untracked, peers },
    { evicted: 50, untracked: 4, peers: { closed: 0, open: 1, halfOpen: 0, isolated: 1, disabled: 1 } },
  );
});

test('stats() and toJSON() report totals and circuits', () => {
  const name = freshName();
  const breaker = new CircuitBreaker(name, { ...FOUR, slowCallDuration: 50 });
  call(breaker, 'sfsf', 'db');
  breaker.tryAcquire('cache').success(60);
  breaker.tryAcquire('db');
  const circuits = {
    cache: {
      state: 'closed',
      calls: 1,
      failures: 0,
      slowCalls: 1,
      failureRate: 0,
      slowCallRate: 1,
      openings: 0,
      retryAfterMs: null,
    },
    db: {
      state: 'open',
      calls: 0,
      failures: 0,
      slowCalls: 0,
      failureRate: 0,
      slowCallRate: 0,
      openings: 1,
      retryAfterMs: 1000,
    },
  };
  const totals = {
    successes: 3,
    failures: 2,
    slowCalls: 1,
    refused: 1,
    ignored: 0,
    opened: 1,
    evicted: 0,
    untracked: 0,
    peers: { closed: 1, open: 1, halfOpen: 0, isolated: 0, disabled: 0 },
  };
  assert.deepEqual(breaker.stats(), totals);
  assert.deepEqual([breaker.stats('db'), breaker.stats('cache')], [circuits.db, circuits.cache]);
  assert.deepEqual(breaker.stats('unknown'), {
    ...circuits.cache,
    calls: 0,
    slowCalls: 0,
    slowCallRate: 0,
  });
  assert.deepEqual(JSON.parse(JSON.stringify(breaker)), { name, ...totals, circuits });
});

test('after destroy() every call throws CLOSED; permits do nothing', async () => {
  const name = freshName();
  const breaker = new CircuitBreaker(name, FOUR);
  const permit = breaker.tryAcquire('db');
  assert.deepEqual([CircuitBreaker.destroy(name), CircuitBreaker.destroy(name)], [true, false]);
  for (const call of [
    () => breaker.tryAcquire('db'),
    () => breaker.state('db'),
    () => breaker.isolate('db'),
    () => breaker.disable('db'),
    () => breaker.reset('db'),
    () => breaker.stats(),
    () => breaker.stats('db'),
    () => breaker.toJSON(),
    () => breaker.on('open', () => {}),
  ]) {
    assert.throws(call, { code: 'ERR_SLUICE_CLOSED' }, String(call));
  }
  await assert.rejects(
    breaker.fire('db', async () => 1),
    { code: 'ERR_SLUICE_CLOSED' },
  );
  permit.success();
  permit.release();
});

test('a clock that is set back does not prolong openFor', () => {
  const breaker = tripped({ window: { time: '1s' } });
  const before = clock.now;
  clock.advance('1h');
  breaker.tryAcquire('db');
  clock.set(before);
  clock.advance('1s');
  breaker.tryAcquire('db').success();
  assert.equal(breaker.state('db'), 'closed');
  call(breaker, 'ffff');
  assert.equal(breaker.state('db'), 'open');
});
