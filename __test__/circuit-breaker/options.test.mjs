// CircuitBreaker: which options and keys are accepted, and which options attach to an existing breaker.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';

const { CircuitBreaker } = sluice;

const FOUR = { window: { calls: 4 }, minimumCalls: 4, openFor: '1s' };

const fresh = (options) => new CircuitBreaker(freshName(), { ...FOUR, ...options });

test('invalid options throw and create nothing', () => {
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

test('a target is a non-empty string without lone surrogates; an invalid argument changes nothing', () => {
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

test('equal options attach, others are a mismatch that names them; errorFilter belongs to each object', () => {
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
