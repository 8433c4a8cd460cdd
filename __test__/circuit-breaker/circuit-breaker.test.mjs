// CircuitBreaker: when a circuit opens, who tries it, when it closes. By permits, on a clock set by hand.
// Calls it makes itself: circuit-breaker-fire. Other threads: circuit-breaker-threads.
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

/** How long an open circuit refuses, found by asking at each of these times. */
function opensFor(breaker) {
  const { retryAfterMs } = breaker.stats('db');
  clock.advance(retryAfterMs - 1);
  assert.equal(breaker.tryAcquire('db'), null);
  clock.advance(1);
  return retryAfterMs;
}

test('a circuit opens when the rate of failures is reached by enough calls', () => {
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

test('by default half of at least ten calls, of the last hundred', () => {
  const breaker = new CircuitBreaker(freshName(), { openFor: '1s' });
  call(breaker, 'fffffffff');
  assert.equal(breaker.state('db'), 'closed');
  call(breaker, 's');
  assert.equal(breaker.state('db'), 'open');
  call(breaker, `${'s'.repeat(51)}${'f'.repeat(49)}`, 'other');
  assert.equal(breaker.state('other'), 'closed');
  call(breaker, 'f', 'other');
  assert.equal(breaker.state('other'), 'open', 'the hundred-and-first pushes a success out');
});

test('peers have circuits of their own', () => {
  const breaker = tripped();
  assert.deepEqual([breaker.state('db'), breaker.state('cache')], ['open', 'closed']);
  assert.notEqual(breaker.tryAcquire('cache'), null);
});

test('slow calls open a circuit; a call is slow beyond the duration, told or measured', () => {
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

test('a window of time forgets what is older', () => {
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

test('an open circuit refuses until openFor is over; the next to ask tries it', () => {
  const breaker = tripped();
  clock.advance(999);
  assert.equal(breaker.tryAcquire('db'), null);
  clock.advance(1);
  assert.equal(breaker.state('db'), 'open', 'nobody has asked yet');
  const trial = breaker.tryAcquire('db');
  assert.equal(breaker.state('db'), 'halfOpen');
  assert.equal(breaker.tryAcquire('db'), null);
  trial.success();
  assert.equal(breaker.state('db'), 'closed');
  assert.equal(breaker.stats('db').calls, 0, 'it begins anew');
});

test('halfOpenCalls permits, judged by the same rates when all have reported', () => {
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

test('openFor grows by backoff with each opening in a row, up to maxOpenFor', () => {
  const breaker = tripped({ backoff: 3, maxOpenFor: '10s' });
  const waits = [];
  for (let i = 0; i < 4; i++) {
    waits.push(opensFor(breaker));
    breaker.tryAcquire('db').failure();
  }
  assert.deepEqual(waits, [1000, 3000, 9000, 10_000]);
  assert.equal(breaker.stats('db').openings, 5);
  clock.advance('10s');
  breaker.tryAcquire('db').success();
  call(breaker, 'ffff');
  assert.equal(opensFor(breaker), 1000, 'it had closed');
});

test('jitter takes off up to its share', () => {
  const waits = Array.from({ length: 100 }, () => tripped({ jitter: 0.2 }).stats('db').retryAfterMs);
  assert.ok(
    waits.every((wait) => wait >= 800 && wait <= 1000),
    waits.join(),
  );
  assert.ok(new Set(waits).size > 20);
});

test('a trial that does not report gives its place back when its lease ends, to one', () => {
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
    assert.equal(breaker.state('db'), 'halfOpen', 'another has its place');
    next.success();
    assert.equal(breaker.state('db'), 'closed');
  }
});

test('a permit counts once, whatever is called on it how often', () => {
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

test('a release in a closed circuit counts nothing', () => {
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

test('isolate refuses and disable lets pass, uncounted, until reset', () => {
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

test('when maxPeers is reached an idle closed circuit goes, and no other', () => {
  const breaker = fresh({ maxPeers: 3 });
  call(breaker, 'ffff', 'open');
  breaker.isolate('isolated');
  for (let i = 0; i < 50; i++) call(breaker, 'f', `peer ${i}`);
  assert.deepEqual([breaker.state('open'), breaker.state('isolated')], ['open', 'isolated']);
  assert.equal(breaker.stats().evicted, 49);
  breaker.disable('disabled');
  call(breaker, 'ffff', 'no place is left');
  const { evicted, untracked, peers } = breaker.stats();
  assert.deepEqual(
    { evicted, untracked, peers },
    { evicted: 50, untracked: 4, peers: { closed: 0, open: 1, halfOpen: 0, isolated: 1, disabled: 1 } },
  );
});

test('stats and toJSON', () => {
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

test('options that are none are refused, and nothing is created', () => {
  const name = freshName();
  for (const [options, message] of [
    [{}, /openFor is undefined/],
    [{ openFor: 0 }, /openFor is 0/],
    [{ openFor: '1w' }, /openFor is "1w"/],
    [{ failureRate: 1.1 }, /failureRate is 1.1; accepted: a number above 0 and up to 1/],
    [{ failureRate: 0 }, /failureRate is 0/],
    [{ failureRate: '50%' }, /failureRate is "50%"/],
    [{ failureRate: Number.NaN }, /failureRate is NaN/],
    [{ slowCallRate: -0.5 }, /slowCallRate is -0.5/],
    [{ slowCallDuration: 0 }, /slowCallDuration is 0/],
    [{ minimumCalls: 0 }, /minimumCalls is 0/],
    [{ window: {} }, /window has neither calls nor time/],
    [{ window: { calls: 5, time: '1s' } }, /window has both calls and time/],
    [{ window: { calls: 0 } }, /window calls is 0/],
    [{ window: { time: '0s' } }, /window time is "0s"/],
    [{ window: 100 }, /window options is 100/],
    [{ window: { seconds: 1 } }, /window has no option "seconds"/],
    [{ backoff: 0.5 }, /backoff is 0.5/],
    [{ backoff: Infinity }, /backoff is Infinity/],
    [{ maxOpenFor: 999 }, /maxOpenFor is 999; accepted: milliseconds from openFor, 1000,/],
    [{ jitter: 1.5 }, /jitter is 1.5; accepted: a number from 0 to 1/],
    [{ jitter: -0.1 }, /jitter is -0.1/],
    [{ halfOpenCalls: 0 }, /halfOpenCalls is 0/],
    [{ halfOpenCalls: 1.5 }, /halfOpenCalls is 1.5/],
    [{ timeout: 0 }, /timeout is 0/],
    [{ maxPeers: 0 }, /maxPeers is 0/],
    [{ errorFilter: 'all' }, /errorFilter is "all"/],
    [{ resetTimeout: 5 }, /has no option "resetTimeout"/],
    [null, /options is null/],
  ]) {
    const given =
      options === null || Object.keys(options).length === 0 ? options : { openFor: 1000, ...options };
    assert.throws(() => new CircuitBreaker(name, given), {
      name: 'SluiceError',
      code: 'ERR_SLUICE_INVALID_OPTION',
      message,
    });
  }
  assert.throws(() => new CircuitBreaker(name), { code: 'ERR_SLUICE_NOT_FOUND' });
});

test('a peer is a non-empty string of whole characters; a mistake changes nothing', () => {
  const breaker = fresh();
  for (const peer of ['', undefined, null, 7, {}, 'lone \ud800']) {
    const invalid = {
      name: 'SluiceError',
      code: 'ERR_SLUICE_INVALID_KEY',
      message: /^peer is .*; accepted: a non-empty string without lone surrogates/,
    };
    for (const call of [
      () => breaker.tryAcquire(peer),
      () => breaker.state(peer),
      () => breaker.isolate(peer),
      () => breaker.disable(peer),
      () => breaker.reset(peer),
      () => breaker.wrap(peer, () => {}),
      () => (peer === undefined ? breaker.state(peer) : breaker.stats(peer)),
    ]) {
      assert.throws(call, invalid);
    }
  }
  const permit = breaker.tryAcquire('db');
  for (const duration of [-1, Number.NaN, Infinity, '5', null]) {
    assert.throws(() => permit.success(duration), { code: 'ERR_SLUICE_INVALID_OPTION' });
  }
  permit.success(5);
  assert.equal(breaker.stats('db').calls, 1);
  assert.deepEqual(breaker.stats().peers.closed, 1);
});

test('the same options attach, others are an error that names them; errorFilter is each object’s own', () => {
  const name = freshName();
  const breaker = new CircuitBreaker(name, FOUR);
  const same = {
    openFor: 1000,
    minimumCalls: 4,
    window: { calls: 4 },
    failureRate: 0.5,
    errorFilter: () => true,
  };
  const others = [
    new CircuitBreaker(name, same),
    new CircuitBreaker(name),
    new CircuitBreaker(name, { errorFilter: () => false }),
  ];
  breaker.isolate('db');
  for (const other of others) assert.equal(other.state('db'), 'isolated');
  for (const [option, value, message] of [
    ['failureRate', 0.6, /failureRate = 0.5; given: 0.6/],
    ['window', { time: '4s' }, /window = 4 calls; given: 4000 ms/],
    ['openFor', '2s', /openFor = 1000 ms; given: 2000 ms/],
    ['timeout', '2s', /timeout = none; given: 2000 ms/],
    ['maxPeers', 5, /maxPeers = 10000; given: 5/],
  ]) {
    assert.throws(() => new CircuitBreaker(name, { ...FOUR, [option]: value }), {
      code: 'ERR_SLUICE_CONFIG_MISMATCH',
      message,
    });
  }
  assert.throws(() => new CircuitBreaker(freshName(), { errorFilter: () => true }), {
    code: 'ERR_SLUICE_NOT_FOUND',
  });
});

test('after destroy each call is refused; permits are quiet', async () => {
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

test('a clock that is set back makes nobody wait for the time it showed', () => {
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
