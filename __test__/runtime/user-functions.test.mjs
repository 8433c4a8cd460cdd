// What happens when a function of the user's throws: a test for each row of docs/user-functions.md.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import express from 'express';
import Fastify from 'fastify';
import sluice from '../../index.js';
import sluiceExpress from '../../lib/express.js';
import sluiceFastify from '../../lib/fastify.js';
import { freshName, startPeers } from '../helpers/peer.mjs';

const { Broker, CircuitBreaker, ClientHub, ConnectionTracker, createGuard, Lifecycle, Registry } = sluice;

const own = new Error('the user’s own');
const upstream = new Error('of the upstream');
const throwing = () => {
  throw own;
};
const rejecting = () => Promise.reject(own);
const is = (expected) => (error) => error === expected;

const FOUR = { window: { calls: 4 }, minimumCalls: 4, openFor: '1h' };
const ONCE = { limit: 1, window: '1h' };

/** The warnings with a code that `body` leaves. */
async function warningsOf(code, body) {
  const warnings = [];
  const hear = (warning) => warning.code === code && warnings.push(warning);
  process.on('warning', hear);
  await body();
  await turn();
  process.off('warning', hear);
  return warnings;
}

/** Runs `body` in a thread: its result, and the messages that reached `uncaughtException` there. */
async function uncaughtIn(t, body, data) {
  const [peer] = startPeers(t, 1);
  await peer.run(({ state }) => {
    state.uncaught = [];
    process.on('uncaughtException', ({ message }) => state.uncaught.push(message));
  });
  const result = await peer.run(body, data);
  const uncaught = await peer.run(async ({ state }) => {
    for (let i = 0; i < 200 && state.uncaught.length === 0; i++) await new Promise((r) => setTimeout(r, 5));
    return state.uncaught;
  });
  return { result, uncaught };
}

test('fire and wrap: the call rejects with the error, and counts as a failure', async () => {
  const breaker = new CircuitBreaker(freshName(), FOUR);
  for (const fn of [throwing, rejecting]) {
    await assert.rejects(breaker.fire('db', fn), is(own));
    await assert.rejects(breaker.wrap('db', fn)(), is(own));
  }
  assert.deepEqual([breaker.stats().failures, breaker.state('db')], [4, 'open']);
});

/** Results that throw when they are awaited. */
const BROKEN = {
  'an accessor': () => Object.defineProperty({}, 'then', { get: throwing }),
  'a promise of its own kind': () => Object.defineProperty(Promise.resolve(), 'then', { value: throwing }),
};

for (const [what, fn] of Object.entries(BROKEN)) {
  test(`a result with ${what} as then, which throws: as if the function had thrown`, async () => {
    const breaker = new CircuitBreaker(freshName(), { ...FOUR, timeout: '1h' });
    for (let i = 0; i < 4; i++) await assert.rejects(breaker.fire('db', fn), is(own));
    assert.deepEqual([breaker.stats().failures, breaker.state('db')], [4, 'open']);

    const hub = new ClientHub(freshName());
    for (const call of [1, 2].map(() => hub.getOrInit('key', fn))) await assert.rejects(call, is(own));
    assert.deepEqual([hub.stats().failures, hub.stats().initialising], [1, 0]);

    const broker = new Broker(freshName());
    broker.handle('broken', fn);
    await assert.rejects(broker.call('broken'), { message: own.message });
    assert.equal(broker.stats().running, 0);
    await broker.close();

    const lifecycle = new Lifecycle(freshName());
    await assert.rejects(lifecycle.track(fn), is(own));
    lifecycle.onShutdown(fn, { name: 'broken' });
    const { hooks, tasksLeft } = await lifecycle.shutdown({ timeout: '10s' });
    assert.deepEqual([hooks[0].ok, hooks[0].error.message, tasksLeft], [false, own.message, 0]);
  });
}

test('errorFilter: the call rejects with its own error, counts as a failure, and one warning says so', async () => {
  const name = freshName();
  for (const [errorFilter, why] of [
    [throwing, 'the user’s own'],
    [rejecting, /it returned a promise/],
    [
      () => {
        throw Object.create(null);
      },
      /cannot be read|object/,
    ],
  ]) {
    const breaker = new CircuitBreaker(`${name} ${why}`, { ...FOUR, errorFilter });
    const warnings = await warningsOf('SLUICE_ERROR_FILTER', async () => {
      for (let i = 0; i < 3; i++) {
        await assert.rejects(
          breaker.fire('db', () => Promise.reject(upstream)),
          is(upstream),
        );
      }
      breaker.tryAcquire('db').failure(upstream);
    });
    assert.deepEqual([breaker.stats().failures, breaker.state('db')], [4, 'open']);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0].message,
      new RegExp(`^CircuitBreaker "${name} .* errorFilter failed; such calls`),
    );
    assert.match(warnings[0].message, why instanceof RegExp ? why : new RegExp(why));
  }
});

test('errorFilter of a half-open circuit: its trial has failed', async () => {
  const breaker = new CircuitBreaker(freshName(), { ...FOUR, openFor: 1, errorFilter: throwing });
  for (let i = 0; i < 4; i++) breaker.tryAcquire('db').failure();
  let trial = null;
  while (trial === null) {
    trial = breaker.tryAcquire('db');
    await turn();
  }
  trial.failure(upstream);
  assert.deepEqual([breaker.state('db'), breaker.stats('db').openings], ['open', 2]);
});

test('fallback: the call rejects with its error, and what was counted stays', async () => {
  for (const fallback of [throwing, rejecting]) {
    const breaker = new CircuitBreaker(freshName(), FOUR).fallback(fallback);
    await assert.rejects(
      breaker.fire('db', () => Promise.reject(upstream)),
      is(own),
    );
    assert.equal(breaker.stats().failures, 1);
  }
});

test('init: all waiting calls reject with the error, and nothing is kept', async () => {
  const hub = new ClientHub(freshName());
  for (const init of [() => turn().then(throwing), () => turn().then(rejecting)]) {
    for (const call of [1, 2, 3].map(() => hub.getOrInit('key', init))) await assert.rejects(call, is(own));
  }
  await assert.rejects(hub.getOrInit('key', throwing), is(own));
  assert.equal(await hub.getOrInit('key', () => 'anew'), 'anew');
});

test('ttl and staleWhileRevalidate as functions: as if the initialiser had thrown it', async () => {
  const hub = new ClientHub(freshName());
  for (const options of [{ ttl: throwing }, { ttl: '1s', staleWhileRevalidate: throwing }]) {
    const calls = [1, 2].map(() => hub.getOrInit('key', () => 'made', options));
    for (const call of calls) await assert.rejects(call, is(own));
    assert.deepEqual([hub.get('key'), hub.stats().initialising], [undefined, 0]);
  }
  const { failures, initialisations } = hub.stats();
  assert.deepEqual([failures, initialisations], [2, 2]);
});

test('revive: get rejects with the error, and the next one tries anew', async () => {
  const hub = new ClientHub(freshName());
  for (const failing of [throwing, rejecting]) {
    let fails = true;
    const revive = (value) => (fails ? failing() : { value });
    const client = hub.client(`key ${failing.name}`, () => 'data', { revive });
    for (let i = 0; i < 2; i++) await assert.rejects(client.get(), is(own));
    fails = false;
    assert.deepEqual(await client.get(), { value: 'data' });
  }
});

test('dispose: get has the new object; the error is rethrown', async (t) => {
  const { result, uncaught } = await uncaughtIn(
    t,
    async ({ load }, name) => {
      const hub = new (load().ClientHub)(name);
      let made = 0;
      const client = hub.client('key', () => ++made, {
        revive: (value) => ({ value }),
        dispose: ({ value }) => {
          throw new Error(`disposing of ${value}`);
        },
      });
      await client.get();
      hub.invalidate('key');
      return (await client.get()).value;
    },
    freshName(),
  );
  assert.deepEqual({ result, uncaught }, { result: 2, uncaught: ['disposing of 1'] });
});

for (const option of ['key', 'cost', 'skip', 'limit', 'handler']) {
  const optionsWith = (fails) => {
    if (option === 'limit') return { rateLimit: { limit: fails, window: '1h' } };
    return { rateLimit: ONCE, ...(option === 'handler' && { cost: 2 }), [option]: fails };
  };

  const ways = [...Object.entries({ throwing, rejecting }), ...Object.entries(BROKEN)];
  for (const [way, fails] of ways) {
    test(`${option} that is ${way}: Express’s error handler gets the error, and no request passes`, async (t) => {
      const app = express();
      const failed = [];
      const served = [];
      app.use(sluiceExpress({ name: freshName(), ...optionsWith(fails) }));
      app.get('/', (_, res) => res.end(served.push('served')));
      app.use((error, _req, res, _next) => {
        failed.push([error, res.statusCode]);
        res.status(500).end();
      });
      const server = http.createServer(app).listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => server.close());
      const { status } = await fetch(`http://127.0.0.1:${server.address().port}/`);
      assert.deepEqual([status, failed, served], [500, [[own, 200]], []]);
    });

    test(`${option} that is ${way}: Fastify’s error handler gets the error, and no request passes`, async (t) => {
      const fastify = Fastify();
      t.after(() => fastify.close());
      const failed = [];
      fastify.setErrorHandler((error, _request, reply) => {
        failed.push(error);
        return reply.code(500).send('failed');
      });
      await fastify.register(sluiceFastify, { name: freshName(), ...optionsWith(fails) });
      fastify.get('/', async () => 'served');
      assert.equal((await fastify.inject('/')).statusCode, 500);
      assert.deepEqual(failed, [own]);
    });

    if (option === 'handler') continue;
    test(`${option} that is ${way}: check throws the error, or rejects, and charges nothing`, async () => {
      const guard = createGuard(freshName(), optionsWith(fails));
      const req = { headers: {}, socket: { remoteAddress: '192.0.2.1' } };
      await assert.rejects(async () => guard.check(req), is(own));
      assert.deepEqual([guard.limiter.stats().allowed, guard.stats().faults], [0, 0]);
    });
  }
}

test('clientAddress: the request counts as unknown, and one warning says so', async () => {
  const failing = { throwing, rejecting, ...BROKEN, nothing: () => undefined };
  const warnings = await warningsOf('SLUICE_UNREADABLE_CLIENT_ADDRESS', async () => {
    for (const clientAddress of Object.values(failing)) {
      const guard = createGuard(freshName(), { rateLimit: { limit: 2, window: '1h' }, clientAddress });
      const answers = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((remoteAddress) =>
        guard.check({ headers: {}, socket: { remoteAddress } }),
      );
      assert.deepEqual(
        answers.map(({ allowed }) => allowed),
        [true, true, false],
      );
      assert.equal(answers[0].client.key, 'unknown');
    }
  });
  assert.equal(warnings.length, 1);
});

for (const onRefused of [throwing, rejecting]) {
  test(`onRefused that is ${onRefused.name}: the default refusal, and one warning`, async (t) => {
    const tracker = new ConnectionTracker(freshName(), { max: 1 });
    const server = http.createServer((_, res) => res.end('served'));
    tracker.attach(server, { onRefused });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const held = net.connect(port, '127.0.0.1');
    t.after(() => {
      held.destroy();
      server.close();
    });
    while (tracker.count === 0) await turn();
    const warnings = await warningsOf('SLUICE_ON_REFUSED', async () => {
      for (let i = 0; i < 3; i++) {
        const response = await fetch(`http://127.0.0.1:${port}/`);
        assert.deepEqual([response.status, (await response.json()).status], [503, 503]);
      }
    });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0].message, /onRefused failed; sockets get the default refusal: the user’s own$/);
    assert.equal(warnings[0].detail, own.stack);
    assert.equal(tracker.count, 1);
  });
}

test('onClose: the connection is closed and counted so; the error is rethrown', async (t) => {
  const { result, uncaught } = await uncaughtIn(
    t,
    async ({ load }, name) => {
      const tracker = new (load().ConnectionTracker)(name, { max: 2, clients: 'opaque' });
      const told = [];
      const failing = () => {
        throw new Error('closing');
      };
      tracker.tryOpen('a', { id: 'a', onClose: failing });
      tracker.tryOpen('b', { id: 'b', onClose: () => told.push('b') });
      tracker.close('a');
      tracker.close('b');
      while (told.length === 0) await new Promise(setImmediate);
      return [tracker.count, told];
    },
    freshName(),
  );
  assert.deepEqual({ result, uncaught }, { result: [0, ['b']], uncaught: ['closing'] });
});

test('the function of Registry.update: update throws the error, and nothing was written', () => {
  const registry = new Registry(freshName());
  registry.set('key', 1);
  const { version } = registry;
  assert.throws(() => registry.update('key', throwing), is(own));
  assert.throws(() => registry.update('key', async () => 2), { code: 'ERR_SLUICE_INVALID_VALUE' });
  assert.deepEqual([registry.get('key'), registry.version], [1, version]);
});

test('a handler of a broker: the call rejects with the error, and the thread goes on', async (t) => {
  const name = freshName();
  const broker = new Broker(name);
  t.after(() => broker.close());
  const [peer] = startPeers(t, 1);
  await peer.run(({ load, state }, name) => {
    state.broker = new (load().Broker)(name);
    state.broker.handle('throws', () => {
      throw Object.assign(new RangeError('too far'), { code: 'EFAR' });
    });
    state.broker.handle('rejects', async () => {
      throw Object.assign(new RangeError('too far'), { code: 'EFAR' });
    });
    state.broker.handle('answers', () => 'well');
  }, name);
  for (const endpoint of ['throws', 'rejects']) {
    await assert.rejects(broker.call(endpoint), { name: 'RangeError', message: 'too far', code: 'EFAR' });
  }
  assert.equal(await broker.call('answers'), 'well');
  assert.deepEqual([broker.pendingCount, broker.stats().inFlight], [0, 0]);
});

test('a hook: the report has its error, and the others run', async () => {
  const lifecycle = new Lifecycle(freshName());
  const ran = [];
  lifecycle.onShutdown(throwing, { name: 'throws' });
  lifecycle.onShutdown(rejecting, { name: 'rejects', when: 'drained' });
  lifecycle.onShutdown(() => ran.push('last'), { name: 'last', when: 'drained' });
  const { hooks } = await lifecycle.shutdown({ timeout: '10s' });
  const outcomes = hooks.map(({ name, ok, error }) => [name, ok, error?.message]);
  assert.deepEqual(outcomes.sort(), [
    ['last', true, undefined],
    ['rejects', false, own.message],
    ['throws', false, own.message],
  ]);
  assert.deepEqual(ran, ['last']);
});

test('track: its promise rejects with the error, and the shutdown does not wait', async () => {
  const lifecycle = new Lifecycle(freshName());
  for (const work of [throwing, rejecting]) await assert.rejects(lifecycle.track(work), is(own));
  const { drained, tasksLeft } = await lifecycle.shutdown({ timeout: '10s' });
  assert.deepEqual({ drained, tasksLeft }, { drained: true, tasksLeft: 0 });
});

/** In a thread: makes something that has listeners, and what makes it emit once. */
const EMITTERS = {
  Registry: ({ load }, name) => {
    const registry = new (load().Registry)(name);
    return { emitter: registry, event: 'change', emit: () => registry.set('key', 1) };
  },
  CircuitBreaker: ({ load }, name) => {
    const breaker = new (load().CircuitBreaker)(name, { openFor: '1h' });
    return { emitter: breaker, event: 'open', emit: () => breaker.isolate('db') };
  },
  SecurityMonitor: ({ load }, name) => {
    const rules = [{ event: 'probe', count: 1, window: '1m', action: 'alert' }];
    const monitor = new (load().SecurityMonitor)(name, { rules });
    return { emitter: monitor, event: 'alert', emit: () => monitor.record('probe', '192.0.2.1') };
  },
  Lifecycle: ({ load }, name) => {
    const lifecycle = new (load().Lifecycle)(name);
    return { emitter: lifecycle, event: 'change', emit: () => lifecycle.ready() };
  },
  Broker: ({ load }, name) => {
    const broker = new (load().Broker)(name, { id: 'me' });
    return { emitter: broker, event: 'message', emit: () => broker.send('me', 'hello') };
  },
};

for (const [component, make] of Object.entries(EMITTERS)) {
  test(`a listener of a ${component}: the others are called; the error is rethrown`, async (t) => {
    const { result, uncaught } = await uncaughtIn(
      t,
      async (local, { make, name }) => {
        const { emitter, event, emit } = local.require('node:vm').runInThisContext(`(${make})`)(local, name);
        const told = [];
        emitter.on(event, () => {
          told.push('first');
          throw new Error('listening');
        });
        emitter.on(event, () => told.push('second'));
        emit();
        while (told.length < 2) await new Promise(setImmediate);
        return told;
      },
      { make: String(make), name: freshName() },
    );
    assert.deepEqual({ result, uncaught }, { result: ['first', 'second'], uncaught: ['listening'] });
  });
}

test('a listener of a worker group: the others are called; the error is rethrown', async (t) => {
  const { result, uncaught } = await uncaughtIn(
    t,
    async ({ load }, { name, index }) => {
      const broker = new (load().Broker)(name);
      const code = `const { Broker } = require(${JSON.stringify(index)});
        new Broker(${JSON.stringify(name)}).handle('end', () => setImmediate(() => process.exit(3)));`;
      const group = await broker.spawn(code, { eval: true, count: 1, restart: false });
      const told = [];
      group.on('exit', () => {
        told.push('first');
        throw new Error('listening');
      });
      group.on('exit', () => told.push('second'));
      await broker.call('end').catch(() => {});
      while (told.length < 2) await new Promise(setImmediate);
      await group.close();
      await broker.close();
      return told;
    },
    { name: freshName(), index: new URL('../../index.js', import.meta.url).pathname },
  );
  assert.deepEqual({ result, uncaught }, { result: ['first', 'second'], uncaught: ['listening'] });
});

test('a listener of the signal of fire, and of an initialiser: as with any AbortSignal', async (t) => {
  const { result, uncaught } = await uncaughtIn(
    t,
    async ({ load }, name) => {
      const { CircuitBreaker, ClientHub } = load();
      const failing = (what) => (signal) => {
        signal.addEventListener('abort', () => {
          throw new Error(what);
        });
        return new Promise(() => {});
      };
      const breaker = new CircuitBreaker(name, { openFor: '1h' });
      const hub = new ClientHub(name);
      const controller = new AbortController();
      const { signal } = controller;
      const calls = [
        breaker.fire('db', failing('of fire'), { signal }),
        hub.getOrInit('key', failing('of init'), { signal }),
      ];
      controller.abort();
      const settled = await Promise.allSettled(calls);
      await new Promise((resolve) => setTimeout(resolve, 20));
      return settled.map(({ reason }) => reason === signal.reason);
    },
    freshName(),
  );
  assert.deepEqual(
    { result, uncaught: uncaught.sort() },
    { result: [true, true], uncaught: ['of fire', 'of init'] },
  );
});

test('accessors of values: the call throws their error, and nothing was written or sent', async (t) => {
  const value = {
    get broken() {
      throw own;
    },
  };
  const registry = new Registry(freshName());
  assert.throws(() => registry.set('key', value), is(own));
  assert.equal(registry.size, 0);
  const broker = new Broker(freshName(), { id: 'me' });
  t.after(() => broker.close());
  broker.handle('broken', () => value);
  await assert.rejects(async () => broker.call('broken', value), is(own));
  assert.throws(() => broker.send('me', value), is(own));
  assert.throws(() => broker.broadcast(value), is(own));
  assert.equal(broker.stats().inFlight, 0);
  await assert.rejects(broker.call('broken'), { message: own.message });
  await assert.rejects(
    new ClientHub(freshName()).getOrInit('key', () => value),
    is(own),
  );
});
