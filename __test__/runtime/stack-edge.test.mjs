// Calls near the end of the stack can fail at any line. They release whatever they had reserved.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { join, until } from '../helpers/broker.mjs';
import { freshName } from '../helpers/peer.mjs';

const { Broker, CircuitBreaker, ClientHub, ConnectionTracker, Lifecycle, RateLimiter, Semaphore } = sluice;

/** Number of frames above the end of the stack that call `act`: enough for the first to fail and the last to succeed. */
const FRAMES = 2000;

/** Calls `act` with the whole stack used, then with one frame less, and so on. Returns the result or error of each. */
function atTheEdge(act, frames = FRAMES) {
  const outcomes = [];
  let rest = frames;
  const descend = () => {
    try {
      descend();
    } catch {}
    if (rest === 0) return;
    rest -= 1;
    try {
      outcomes.push(act());
    } catch (error) {
      outcomes.push(error);
    }
  };
  descend();
  return outcomes;
}

const isError = (outcome) => outcome instanceof Error;
const PAYLOADS = [undefined, 1, { a: 1 }, { n: 1n }, 'x'.repeat(300), Buffer.from('bytes')];

test('a call at the end of the stack rejects or is answered; no inbox capacity leaks', async (t) => {
  const broker = join(t, freshName(), { inbox: 20_000 });
  broker.handle('echo', (payload) => payload);
  let failures = 0;
  for (let round = 0; round < 3; round++) {
    for (const payload of PAYLOADS) {
      const { signal } = new AbortController();
      const outcomes = atTheEdge(() => broker.call('echo', payload, { signal, timeout: '10m' }));
      const settled = await Promise.allSettled(outcomes);
      for (const [at, { status, value, reason }] of settled.entries()) {
        if (isError(value) || status === 'rejected') {
          failures += 1;
          assert.match((reason ?? value).message, /stack/i, `${at}`);
        } else {
          assert.deepEqual(value, payload);
        }
      }
      assert.deepEqual(settled.at(-1).value, payload, 'with enough stack the call is answered');
    }
  }
  assert.ok(failures > 0);
  await until(() => broker.stats().inFlight === 0);
  const { waiting, inFlight, pending } = broker.stats();
  assert.deepEqual(
    { waiting, inFlight, pending, pendingCount: broker.pendingCount },
    {
      waiting: 0,
      inFlight: 0,
      pending: 0,
      pendingCount: 0,
    },
  );
  await assert.rejects(broker.call('never', 1), { code: 'ERR_SLUICE_NO_ENDPOINT' });
  broker.handle('never', () => new Promise(() => {}));
  await assert.rejects(broker.call('never', 1, { timeout: 5 }), { code: 'ERR_SLUICE_TIMEOUT' });
});

test('messages at the end of the stack leak no inbox capacity', async (t) => {
  const broker = join(t, freshName(), { inbox: 20_000 });
  const other = join(t, freshName());
  let received = 0;
  broker.on('message', () => {
    received += 1;
  });
  for (const payload of PAYLOADS) {
    const outcomes = atTheEdge(() => broker.send(broker.id, payload));
    const sent = outcomes.filter((outcome) => !isError(outcome)).length;
    await until(() => received >= sent);
    received = 0;
    assert.ok(sent > 0 && sent < FRAMES);
    atTheEdge(() => broker.broadcast(payload));
    await new Promise(setImmediate);
  }
  await until(() => broker.stats().waiting === 0);
  assert.deepEqual([broker.stats().waiting, other.stats().waiting], [0, 0]);
});

test('after a hub call that fails at the end of the stack, another call can run the initialiser', async () => {
  const hub = new ClientHub(freshName());
  let key = 0;
  const outcomes = atTheEdge(() => {
    key += 1;
    const own = `${key}`;
    return hub.getOrInit(own, () => own, { timeout: '10m' }).catch((error) => error);
  });
  await Promise.allSettled(outcomes);
  await new Promise(setImmediate);
  const { waiting, initialising } = hub.stats();
  assert.deepEqual({ waiting, initialising }, { waiting: 0, initialising: 0 });
  for (let one = 1; one <= key; one++) assert.equal(await hub.getOrInit(`${one}`, () => `${one}`), `${one}`);
});

test('a connection whose tryOpen() fails is closed', () => {
  const tracker = new ConnectionTracker(freshName(), { max: 10_000 });
  let closed = 0;
  const onClose = () => {
    closed += 1;
  };
  const outcomes = [undefined, onClose].flatMap((onClose) =>
    atTheEdge(() => tracker.tryOpen('1.1.1.1', { onClose })),
  );
  const opened = outcomes.filter((outcome) => outcome !== null && !isError(outcome));
  assert.ok(opened.length > 0 && opened.length < outcomes.length);
  assert.equal(tracker.count, opened.length);
  for (const connection of opened) connection.close();
  assert.equal(tracker.count, 0);
  assert.equal(closed, 0, 'onClose runs asynchronously');
});

test('a socket that cannot be observed is not counted', async () => {
  const tracker = new ConnectionTracker(freshName(), { max: 1 });
  const server = net.createServer();
  tracker.attach(server);
  const warned = once(process, 'warning');
  const fail = () => {
    throw new Error('not watched');
  };
  for (let round = 0; round < 3; round++) {
    server.emit('connection', { remoteAddress: '1.1.1.1', destroyed: false, once: fail, destroy() {} });
  }
  assert.equal(tracker.count, 0);
  assert.match((await warned)[0].message, /not watched/);
});

test('a thread whose join fails is not a peer', async (t) => {
  const broker = join(t, freshName());
  const names = [];
  const outcomes = atTheEdge(() => {
    const name = `${broker.name} ${names.length}`;
    names.push(name);
    return new Broker(name);
  }, 700);
  const joined = outcomes.filter((outcome) => !isError(outcome));
  assert.ok(joined.length > 0 && joined.length < outcomes.length);
  await new Promise(setImmediate);
  for (const one of joined) one.handle('echo', (payload) => payload);
  assert.equal(await joined[0].call('echo', 1), 1);
  await Promise.all(joined.map((one) => one.close()));
  for (const name of names) {
    const late = new Broker(name);
    assert.deepEqual([late.peers().length, late.stats().peers], [1, 1]);
    await late.close();
  }
});

test('shutdown does not wait for work whose track() failed', async () => {
  const lifecycle = new Lifecycle(freshName());
  const work = withOwnThen(Promise.resolve(1));
  for (let round = 0; round < 3; round++) {
    try {
      await lifecycle.track(work);
    } catch {}
  }
  atTheEdge(() => lifecycle.track(Promise.resolve(1)));
  await new Promise(setImmediate);
  const report = await lifecycle.shutdown({ timeout: 200 });
  assert.deepEqual([report.drained, report.tasksLeft], [true, 0]);
});

test('at the end of the stack, a limiter admits what it counts and no more', () => {
  const QUOTA = 1500;
  const CALLS = {
    tryConsume: (limiter) => limiter.tryConsume('a'),
    consume: (limiter) => limiter.consume('a').allowed,
    consumeMany: (limiter) => limiter.consumeMany(['a'])[0],
    handle: (limiter) => limiter.handle('a').tryConsume(),
  };
  for (const [title, call] of Object.entries(CALLS)) {
    const limiter = new RateLimiter(freshName(), { limit: QUOTA, window: '30d' });
    const outcomes = atTheEdge(() => call(limiter));
    const count = (outcome) => outcomes.filter((one) => one === outcome).length;
    const { allowed, refused } = limiter.stats();
    assert.ok(outcomes.some(isError) && count(false) > 0, title);
    assert.equal(allowed, QUOTA, title);
    assert.ok(count(true) <= allowed && count(false) <= refused, `${title} ${count(true)} ${count(false)}`);
    assert.equal(count(true) + count(false) + outcomes.filter(isError).length, outcomes.length);
  }
});

test('a permit whose tryAcquire() fails is freed', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const PERMITS = 10_000;
  const breaker = new CircuitBreaker(freshName(), { openFor: '1s', minimumCalls: 1, halfOpenCalls: PERMITS });
  await breaker.fire('a', () => Promise.reject(new Error('open it'))).catch(() => {});
  assert.equal(breaker.state('a'), 'open');
  clock.advance('1s');
  const permits = atTheEdge(() => breaker.tryAcquire('a')).filter((outcome) => !isError(outcome));
  for (const permit of permits) permit.release();
  const free = Array.from({ length: PERMITS }, () => breaker.tryAcquire('a'));
  assert.equal(free.filter((permit) => permit === null).length, 0);
  assert.equal(breaker.tryAcquire('a'), null);
});

/** A promise whose `then` throws. */
function withOwnThen(promise) {
  return Object.defineProperty(promise, 'then', {
    value() {
      throw new Error('no then');
    },
  });
}

test('calls that fail at the end of the stack do not keep a process alive', () => {
  const code = `
    const { Broker, ClientHub } = require('.');
    const broker = new Broker('edge', { inbox: 100_000 });
    broker.handle('echo', (payload) => payload);
    const hub = new ClientHub('edge');
    let key = 0;
    const acts = [
      () => broker.call('echo', 1, { timeout: '1h' }).catch(() => {}),
      () => hub.getOrInit(String(key++), () => 1, { timeout: '1h' }).catch(() => {}),
    ];
    for (const act of acts) {
      let rest = ${FRAMES};
      const descend = () => {
        try {
          descend();
        } catch {}
        if (rest-- <= 0) return;
        try {
          act();
        } catch {}
      };
      descend();
    }
    setImmediate(() => broker.close().then(() => console.log('closed')));`;
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const { stdout, signal } = spawnSync(process.execPath, ['-e', code], {
    cwd,
    encoding: 'utf8',
    timeout: 120_000,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  assert.deepEqual({ stdout, signal }, { stdout: 'closed\n', signal: null });
});

test('permits at the end of the stack are returned or still held, and each wait settles', async () => {
  const semaphore = new Semaphore(freshName(), { permits: 1, maxWaiting: 100_000 });
  let failures = 0;
  for (let round = 0; round < 3; round++) {
    const { signal } = new AbortController();
    const released = atTheEdge(() => {
      const permit = semaphore.tryAcquire();
      if (permit === null) return 'leaked';
      try {
        permit.release();
      } finally {
        // Where the release failed, the caller still has the permit.
        queued[queued.length] = permit;
      }
      return 'released';
    });
    for (const permit of queued.splice(0)) permit.release();
    failures += released.filter(isError).length;
    assert.equal(semaphore.stats().held, 0);

    const held = semaphore.tryAcquire();
    const waits = atTheEdge(() => semaphore.acquire({ signal, timeout: '1h' }));
    held.release();
    for (const wait of waits) {
      if (isError(wait)) continue;
      await wait.then(
        (permit) => permit.release(),
        (error) => assert.match(error.message, /stack/i),
      );
    }
    failures += waits.filter(isError).length;
    const { held: stillHeld, waiting, keys } = semaphore.stats();
    assert.deepEqual([stillHeld, waiting, keys], [0, 0, 0]);
  }
  assert.ok(failures > 0);
});

/** Permits of calls that failed at the edge. */
const queued = [];
