// CircuitBreaker: fire() and wrap(), what they settle with and what they count.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';
import { stopClock } from '../helpers/setup.mjs';

const { CircuitBreaker } = sluice;
const clock = stopClock();

const FOUR = { window: { calls: 4 }, minimumCalls: 4, openFor: '1s' };
const OPEN = { name: 'SluiceError', code: 'ERR_SLUICE_BREAKER_OPEN' };
const TIMEOUT = { name: 'SluiceError', code: 'ERR_SLUICE_TIMEOUT' };
const own = new Error('own error');

const fresh = (options) => new CircuitBreaker(freshName(), { ...FOUR, ...options });
const is = (expected) => (error) => error === expected;
const fail = async () => {
  throw own;
};
const never = () => new Promise(() => {});

async function trip(breaker) {
  for (let i = 0; i < 4; i++) await assert.rejects(breaker.fire('db', fail), is(own));
}

test('fire() settles as its function does and counts the outcome', async () => {
  const breaker = fresh({ timeout: '1s' });
  assert.equal(await breaker.fire('db', async () => 'value'), 'value');
  assert.equal(await breaker.fire('db', () => 'not a promise'), 'not a promise');
  await assert.rejects(breaker.fire('db', fail), is(own));
  const failAtOnce = () => {
    throw own;
  };
  await assert.rejects(breaker.fire('db', failAtOnce), is(own));
  const { successes, failures } = breaker.stats();
  assert.deepEqual([successes, failures, breaker.state('db')], [2, 2, 'open']);
});

test('fire() is rejected while the circuit is open; a successful trial closes it', async () => {
  const breaker = fresh();
  await trip(breaker);
  let calls = 0;
  const count = async () => ++calls;
  await assert.rejects(breaker.fire('db', count), {
    ...OPEN,
    peer: 'db',
    state: 'open',
    retryAfterMs: 1000,
    message: /the circuit of "db" is open; try again in 1000 ms$/,
  });
  assert.equal(calls, 0);
  clock.advance('1s');
  let finish;
  const trial = breaker.fire('db', () => new Promise((resolve) => (finish = resolve)));
  await assert.rejects(breaker.fire('db', count), { ...OPEN, state: 'halfOpen' });
  finish('tried');
  assert.equal(await trial, 'tried');
  assert.equal(breaker.state('db'), 'closed');
  breaker.isolate('db');
  await assert.rejects(breaker.fire('db', count), { ...OPEN, state: 'isolated', retryAfterMs: null });
});

test('a call past its timeout rejects with TIMEOUT and aborts its signal', async () => {
  const breaker = fresh({ timeout: 500 });
  const signals = [];
  const hang = (signal) => {
    signals.push(signal);
    return never();
  };
  const first = breaker.fire('db', hang);
  clock.advance(100);
  const second = breaker.fire('db', hang);
  const quick = breaker.fire('db', async (signal) => {
    signals.push(signal);
    return 'in time';
  });
  assert.equal(await quick, 'in time');
  clock.advance(400);
  await assert.rejects(first, { ...TIMEOUT, message: /the call to "db" took longer than 500 ms$/ });
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, false, false],
  );
  await assert.rejects(first, is(signals[0].reason));
  clock.advance(100);
  await assert.rejects(second, TIMEOUT);
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, true, false],
  );
  assert.deepEqual([breaker.stats().successes, breaker.stats().failures], [1, 2]);
});

test('a function that settles after its timeout is not counted again', async () => {
  const breaker = fresh({ timeout: 500 });
  let finish;
  const late = breaker.fire('db', () => new Promise((resolve) => (finish = resolve)));
  clock.advance(500);
  await assert.rejects(late, TIMEOUT);
  finish('too late');
  await new Promise(setImmediate);
  assert.deepEqual([breaker.stats('db').calls, breaker.stats('db').failures], [1, 1]);
});

test('a trial past its timeout reopens the circuit, also when another call notices first', async () => {
  const breaker = fresh({ timeout: 500 });
  await trip(breaker);
  clock.advance('1s');
  const trial = breaker.fire('db', never);
  const trialFails = assert.rejects(trial, TIMEOUT);
  clock.advance(500);
  // Called before the timer of the trial has fired.
  await assert.rejects(breaker.fire('db', never), { ...OPEN, state: 'open', retryAfterMs: 1000 });
  await trialFails;
  assert.deepEqual([breaker.state('db'), breaker.stats('db').openings], ['open', 2]);
});

test('abort listeners of a signal run in the async context of their call', async () => {
  const breaker = fresh({ timeout: 500 });
  const storage = new AsyncLocalStorage();
  const seen = [];
  const hang = (signal) => {
    signal.addEventListener('abort', () => seen.push(storage.getStore()));
    return never();
  };
  const calls = ['a', 'b', 'c'].map((id) => storage.run(id, () => breaker.fire('db', hang)));
  clock.advance(500);
  for (const call of calls) await assert.rejects(call, TIMEOUT);
  assert.deepEqual(seen, ['a', 'b', 'c']);
});

test('deadlines hold in whatever order calls settle, and after the clock is set back', async () => {
  const breaker = fresh({ timeout: 500, window: { calls: 1000 }, minimumCalls: 1000 });
  const finishes = [];
  const calls = Array.from({ length: 9 }, (_, i) => {
    clock.advance(1);
    return breaker.fire('db', () => new Promise((resolve) => (finishes[i] = resolve)));
  });
  for (const i of [4, 0, 8, 1]) finishes[i](i);
  for (const i of [4, 0, 8, 1]) assert.equal(await calls[i], i);
  const rest = assert.rejects(calls[7], TIMEOUT);
  clock.set(clock.now - 100);
  const afterwards = assert.rejects(breaker.fire('db', never), TIMEOUT);
  clock.advance(500);
  await afterwards;
  clock.advance(600);
  for (const i of [2, 3, 5, 6]) await assert.rejects(calls[i], TIMEOUT);
  await rest;
  assert.deepEqual([breaker.stats().successes, breaker.stats().failures], [4, 6]);
});

test('a function that blocks its thread beyond the timeout fails at once, and later calls still time out', async () => {
  const breaker = fresh({ timeout: 500 });
  const blocking = () => {
    clock.advance(600);
    return never();
  };
  await assert.rejects(breaker.fire('db', blocking), TIMEOUT);
  const later = breaker.fire('db', never);
  clock.advance(500);
  await assert.rejects(later, TIMEOUT);
});

test('fallback receives every error except invalid arguments, and its result becomes the result', async () => {
  const breaker = fresh({ timeout: 500 });
  const seen = [];
  assert.equal(
    breaker.fallback((error, peer) => {
      seen.push([error.code ?? error.message, peer]);
      return 'instead';
    }),
    breaker,
  );
  assert.equal(await breaker.fire('db', fail), 'instead');
  const hanging = breaker.fire('db', never);
  clock.advance(500);
  assert.equal(await hanging, 'instead');
  breaker.isolate('db');
  assert.equal(await breaker.fire('db', async () => 'value'), 'instead');
  assert.deepEqual(seen, [
    [own.message, 'db'],
    ['ERR_SLUICE_TIMEOUT', 'db'],
    ['ERR_SLUICE_BREAKER_OPEN', 'db'],
  ]);
  await assert.rejects(breaker.fire('db'), { code: 'ERR_SLUICE_INVALID_OPTION' });
  assert.equal(breaker.stats().failures, 2, 'a fallback does not turn a failure into a success');
  const other = new Error('of the fallback');
  breaker.reset('db');
  breaker.fallback(async () => {
    throw other;
  });
  await assert.rejects(breaker.fire('db', fail), is(other));
});

test('an error for which errorFilter returns true counts as a success', async () => {
  const errorFilter = (error) => error.statusCode < 500;
  const breaker = fresh({ errorFilter });
  const notFound = Object.assign(new Error('not found'), { statusCode: 404 });
  for (let i = 0; i < 8; i++) {
    const call = breaker.fire('db', async () => {
      throw notFound;
    });
    await assert.rejects(call, is(notFound));
  }
  breaker.tryAcquire('db').failure(notFound);
  assert.deepEqual([breaker.stats().successes, breaker.stats().failures], [9, 0]);
  breaker.tryAcquire('db').failure();
  breaker.tryAcquire('db').failure(own);
  assert.deepEqual([breaker.state('db'), breaker.stats().failures], ['open', 2]);
});

test('wrap() passes the arguments, then the signal if the function has a parameter left', async () => {
  const breaker = fresh({ timeout: 500 });
  const add = breaker.wrap('db', async (a, b) => a + b);
  assert.equal(await add(1, 2), 3);
  const seen = [];
  const query = breaker.wrap('db', async function (id, signal) {
    seen.push(this.name, id, signal instanceof AbortSignal);
    return never();
  });
  const hanging = query.call({ name: 'this' }, 7);
  clock.advance(500);
  await assert.rejects(hanging, TIMEOUT);
  assert.deepEqual(seen, ['this', 7, true]);
  assert.equal(await breaker.wrap('db', async (...args) => args.length)(1, 2, 3), 3);
});

test('a value that is not a function is an error and makes no call', async () => {
  const breaker = fresh();
  for (const fn of [undefined, null, 'fn', Promise.resolve(1)]) {
    const invalid = { code: 'ERR_SLUICE_INVALID_OPTION', message: /accepted: a function$/ };
    await assert.rejects(breaker.fire('db', fn), invalid);
    assert.throws(() => breaker.wrap('db', fn), invalid);
    assert.throws(() => breaker.fallback(fn), invalid);
  }
  for (const peer of ['', undefined, 5, 'lone \udc00']) {
    await assert.rejects(
      breaker.fire(peer, async () => 1),
      { code: 'ERR_SLUICE_INVALID_KEY', message: /^peer is/ },
    );
  }
  assert.deepEqual(breaker.stats().peers.closed, 0);
});

test('events are emitted in order and asynchronously, once to each listener', async (t) => {
  const breaker = fresh({ halfOpenCalls: 2 });
  const seen = [];
  for (const event of ['open', 'halfOpen', 'close']) {
    breaker.on(event, (change) => seen.push([event, change]));
  }
  breaker.once('open', () => seen.push('once'));
  const removed = () => seen.push('removed');
  breaker.on('open', removed).off('open', removed);
  await trip(breaker);
  clock.advance('1s');
  for (const trial of [breaker.tryAcquire('db'), breaker.tryAcquire('db')]) trial.success();
  breaker.isolate('db');
  breaker.disable('db');
  const last = new Promise((resolve) => breaker.on('close', ({ from }) => from === 'isolated' && resolve()));
  // Listeners do not keep the process alive; the timer does.
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  await last;
  const none = { calls: 0, failures: 0, slowCalls: 0 };
  const four = { calls: 4, failures: 4, slowCalls: 0 };
  assert.deepEqual(seen, [
    ['open', { peer: 'db', state: 'open', from: 'closed', ...four, openForMs: 1000 }],
    'once',
    ['halfOpen', { peer: 'db', state: 'halfOpen', from: 'open', ...none }],
    ['close', { peer: 'db', state: 'closed', from: 'halfOpen', ...none, calls: 2 }],
    ['open', { peer: 'db', state: 'isolated', from: 'closed', ...none }],
    ['close', { peer: 'db', state: 'disabled', from: 'isolated', ...none }],
  ]);
  assert.throws(() => breaker.on('closed', () => {}), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /"closed"; accepted: "open", "halfOpen", "close"/,
  });
});

test('a pending call keeps its thread alive until it settles', async () => {
  const script = `
    const { CircuitBreaker } = require(${JSON.stringify(new URL('../..', import.meta.url).pathname)});
    const short = new CircuitBreaker('short', { openFor: '1s', timeout: 50 });
    const long = new CircuitBreaker('long', { openFor: '1s', timeout: '1h' });
    long.on('open', () => {});
    long.fire('db', async () => 'quick').then((value) => {
      console.log(value);
      short.fire('db', () => new Promise(() => {})).catch((error) => console.log(error.code));
    });
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script]);
  assert.equal(stdout, 'quick\nERR_SLUICE_TIMEOUT\n');
});
