// reset() of sluice/testing: every instance of the process is empty again, in all threads; objects, listeners and
// servers stay, and the next construction sets the options.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import express from 'express';
import sluice from '../../index.js';
import expressGuard from '../../lib/express.js';
import testing from '../../lib/testing.js';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { connect, listening } from '../helpers/sockets.mjs';

const { Broker, CircuitBreaker, ClientHub, ConnectionTracker, Lifecycle, RateLimiter, Registry } = sluice;
const { Reputation, SecurityMonitor, createGuard } = sluice;
const { reset } = testing;

const closed = { code: 'ERR_SLUICE_CLOSED' };
const turns = async (count = 3) => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
};

test('a limiter forgets its clients, blocks and counts, and keeps its options', () => {
  const limiter = new RateLimiter(freshName(), { limit: 2, window: '1h' });
  const handle = limiter.handle('a');
  limiter.consume('a', 2);
  limiter.tryConsume('a');
  limiter.block('b', '1h');
  reset();
  assert.deepEqual(limiter.stats(), { ...limiter.stats(), allowed: 0, refused: 0, blocked: 0, size: 0 });
  assert.deepEqual([handle.consume().remaining, limiter.tryConsume('b')], [1, true]);
  assert.equal(limiter.stats().allowed, 2);
});

test('the next construction sets the options, those that are fixed at creation too, for objects of before', () => {
  const name = freshName();
  const limiter = new RateLimiter(name, { limit: 2, window: '1h' });
  const handle = limiter.handle('a');
  const limits = [
    { name: 'short', limit: 3, window: '1m' },
    { name: 'long', limit: 4, window: '1h' },
  ];
  assert.throws(() => new RateLimiter(name, { limits, maxKeys: 10 }), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
  reset();
  assert.equal(limiter.consume('a').limit, 2);
  const after = new RateLimiter(name, { limits, maxKeys: 10, overflow: 'deny' });
  for (const object of [after, limiter]) {
    const { policy, remaining } = object.consume('a');
    assert.equal(policy, 'short');
    assert.ok(remaining < 3);
  }
  assert.deepEqual([handle.peek().policy, handle.consume().remaining], ['short', 0]);
  limiter.reset('a');
  limiter.block('b', '1h');
  assert.deepEqual([after.stats().capacity, limiter.stats().blocked], [10, 1]);
  assert.throws(() => new RateLimiter(name, { limit: 2, window: '1h' }), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
  });
  assert.equal(new RateLimiter(name, { limits, maxKeys: 10, overflow: 'deny' }).peek('a').limit, 3);
  reset();
  assert.equal(new RateLimiter(name, { limit: 7, window: '1m' }).consume('a').remaining, 6);
  assert.deepEqual([limiter.consume('a').remaining, limiter.consume('a').policy], [5, name]);
});

for (const algorithm of ['sliding-window', 'fixed-window']) {
  test(`after a reset a ${algorithm} may have another length, and counts that its words could not hold`, () => {
    const name = freshName();
    const before = new RateLimiter(name, { limit: 10, window: '1m', algorithm });
    before.consume('a', 10);
    reset();
    const after = new RateLimiter(name, { limit: 5_000_000, window: '1h', algorithm });
    for (const limiter of [before, after]) assert.equal(limiter.peek('a').remaining, 5_000_000);
    assert.equal(before.tryConsume('a', 4_999_999), true);
    assert.equal(after.consume('a').remaining, 0);
  });
}

test('what was reconfigured stays in force until it is constructed anew', () => {
  const name = freshName();
  const limiter = new RateLimiter(name, { limit: 2, window: '1h' });
  limiter.reconfigure({ limit: 5 });
  reset();
  assert.equal(limiter.consume('a').limit, 5);
  new RateLimiter(name);
  assert.equal(limiter.consume('a').limit, 5);
  new RateLimiter(name, { limit: 3, window: '1h' });
  assert.equal(limiter.consume('b').limit, 3);
});

test('connections are released; sockets and servers stay', async (t) => {
  const name = freshName();
  const tracker = new ConnectionTracker(name, { max: 1 });
  const server = net.createServer((socket) => socket.pipe(socket));
  const port = await listening(t, server);
  tracker.attach(server);
  const first = await connect(t, { port, host: '127.0.0.1' });
  first.write('a');
  await once(first, 'data');
  const session = new ConnectionTracker(freshName(), {}).tryOpen('192.0.2.1', { id: 'one' });
  reset();
  assert.deepEqual([tracker.count, tracker.stats().opened, session.close()], [0, 0, false]);
  first.write('b');
  assert.equal(String((await once(first, 'data'))[0]), 'b');
  const second = await connect(t, { port, host: '127.0.0.1' });
  second.write('c');
  await once(second, 'data');
  first.destroy();
  await first.gone;
  await turns();
  assert.equal(tracker.count, 1, 'the end of a connection of before is none of those that count');
  assert.equal(
    new ConnectionTracker(name, { max: 7, clients: 'opaque' }).tryOpen('not an address').client,
    'not an address',
  );
});

test('drain rejects', async () => {
  const tracker = new ConnectionTracker(freshName(), {});
  tracker.tryOpen('192.0.2.1');
  const drained = assert.rejects(tracker.drain({ timeout: '1h' }), closed);
  reset();
  await drained;
  assert.equal(await tracker.drain(), true);
});

test('a registry is empty, its listeners hear no more of before and of what comes', async () => {
  const registry = new Registry(freshName());
  const heard = [];
  registry.on('change', ({ key, missed }) => heard.push([key, missed]));
  registry.set('before', 1);
  const { version } = registry;
  reset();
  assert.deepEqual([registry.size, registry.get('before'), registry.snapshot().size], [0, undefined, 0]);
  assert.ok(registry.version > version);
  registry.set('after', 2);
  await turns();
  assert.deepEqual([heard, registry.get('after')], [[['after', undefined]], 2]);
});

test('bans, failures and lists set by hand are forgotten', () => {
  const name = freshName();
  const options = { maxFailures: 2, findTime: '1h', banTime: '1h', maxBanTime: '1d', deny: ['192.0.2.0/24'] };
  const reputation = new Reputation(name, options);
  reputation.setLists({ deny: ['198.51.100.0/24'] });
  reputation.ban('203.0.113.0/24', { duration: '1h' });
  reputation.ban('10.0.0.1', { duration: '1h' });
  reputation.recordFailure('10.0.0.2');
  reset();
  const banned = ['198.51.100.1', '203.0.113.1', '10.0.0.1', '192.0.2.1'].map((ip) =>
    reputation.isBanned(ip),
  );
  assert.deepEqual(banned, [false, false, false, true]);
  assert.deepEqual([reputation.recordFailure('10.0.0.2').failures, reputation.bans()], [1, []]);
  new Reputation(name, { ...options, maxFailures: 1, ipv6Prefix: 48, maxClients: 3, deny: [] });
  assert.equal(reputation.recordFailure('10.0.0.3').banned, true);
  assert.deepEqual([reputation.isBanned('192.0.2.1'), reputation.stats().capacity], [false, 3]);
});

test('a monitor has seen nothing, and its listeners hear of what comes', async () => {
  const name = freshName();
  const rule = { event: 'scan', count: 2, window: '1h', action: 'alert' };
  const monitor = new SecurityMonitor(name, { rules: [rule] });
  const alerts = [];
  monitor.on('alert', ({ client }) => alerts.push(client));
  monitor.record('scan', '192.0.2.1');
  monitor.record('other', '192.0.2.1');
  reset();
  assert.deepEqual([monitor.counts(), monitor.history().length, monitor.top()], [{}, 0, []]);
  assert.deepEqual(monitor.stats(), { ...monitor.stats(), recorded: 0, clients: 0, historySize: 0 });
  monitor.record('scan', '192.0.2.1');
  monitor.record('other', '192.0.2.1');
  await turns();
  assert.deepEqual([alerts, monitor.counts()], [[], { scan: 1, other: 1 }]);
  new SecurityMonitor(name, { rules: [{ ...rule, event: 'other', count: 1 }], history: 1, maxClients: 5 });
  assert.deepEqual(monitor.counts(), {});
  monitor.record('scan', '192.0.2.1');
  monitor.record('other', '192.0.2.1');
  await turns();
  assert.deepEqual([alerts, monitor.history().length], [['192.0.2.1'], 1]);
});

test('circuits are closed, permits are of none', () => {
  const name = freshName();
  const options = { openFor: '1h', minimumCalls: 1, window: { calls: 1 } };
  const breaker = new CircuitBreaker(name, options);
  const permits = [breaker.tryAcquire('a'), breaker.tryAcquire('a')];
  permits[0].failure();
  breaker.isolate('b');
  assert.equal(breaker.state('a'), 'open');
  reset();
  assert.deepEqual(
    [breaker.state('a'), breaker.state('b'), breaker.stats().failures],
    ['closed', 'closed', 0],
  );
  breaker.tryAcquire('a').success();
  permits[1].failure();
  assert.deepEqual([breaker.state('a'), breaker.stats('a').calls], ['closed', 1]);
  new CircuitBreaker(name, { ...options, minimumCalls: 2, window: { time: '1m' }, maxPeers: 2 });
  breaker.tryAcquire('a').failure();
  assert.equal(breaker.state('a'), 'closed');
  breaker.tryAcquire('a').failure();
  assert.equal(breaker.state('a'), 'open');
});

test('values of a hub are forgotten, calls that wait or run reject, and later ones run', async () => {
  const name = freshName();
  const hub = new ClientHub(name);
  await hub.getOrInit('kept', async () => 1);
  let signal;
  const never = (own) => {
    signal = own;
    return new Promise(() => {});
  };
  const calls = [hub.getOrInit('key', never), hub.getOrInit('key', never)];
  let made;
  const late = hub.getOrInit('late', () => new Promise((resolve) => (made = resolve)));
  const rejected = Promise.all([...calls, late].map((call) => assert.rejects(call, closed)));
  reset();
  made('too late');
  await rejected;
  assert.equal(signal.aborted, true);
  assert.deepEqual(
    [hub.get('kept'), hub.get('late'), hub.stats().entries, hub.stats().misses],
    [undefined, undefined, 0, 0],
  );
  assert.equal(await hub.getOrInit('key', async () => 2), 2);
  new ClientHub(name, { maxEntries: 1 });
  await hub.getOrInit('other', async () => 3);
  assert.equal(hub.stats().entries, 1);
});

test('calls of a broker reject, what is served stays', async (t) => {
  const broker = new Broker(freshName());
  t.after(() => broker.close({ timeout: 0 }));
  let signal;
  let ran = 0;
  broker.handle('stuck', (_, request) => {
    ran += 1;
    signal = request.signal;
    return new Promise(() => {});
  });
  broker.handle('echo', (payload) => payload);
  const stuck = assert.rejects(broker.call('stuck', null), closed);
  while (ran === 0) await turns();
  const waiting = assert.rejects(broker.call('stuck', null), closed);
  reset();
  await Promise.all([stuck, waiting]);
  assert.equal(await broker.call('echo', 'after'), 'after');
  assert.equal(signal.aborted, true);
  assert.deepEqual([broker.pendingCount, broker.stats().thread.calls], [0, 1]);
});

test('a lifecycle is starting again: its shutdown rejects, servers and hooks stay and serve the next', {
  timeout: 10_000,
}, async (t) => {
  const lifecycle = new Lifecycle(freshName()).ready();
  const runs = [];
  lifecycle.onShutdown(({ reason }) => runs.push(reason));
  const token = lifecycle.child('job');
  const server = createServer((_req, res) => res.end('ok'));
  const port = await listening(t, server);
  lifecycle.attach(server);
  lifecycle.track(new Promise(() => {}));
  const { signal } = lifecycle;
  const ended = assert.rejects(lifecycle.shutdown({ timeout: '1h', delay: '1h', reason: 'one' }), closed);
  token.cancel('enough');
  assert.deepEqual([lifecycle.state, token.isCancelled], ['draining', true]);
  await turns();
  assert.equal(signal.aborted, true);
  reset();
  await ended;
  assert.deepEqual([lifecycle.state, lifecycle.isCancelled, token.isCancelled], ['starting', false, false]);
  await turns();
  assert.notEqual(lifecycle.signal, signal);
  assert.deepEqual([lifecycle.signal.aborted, token.signal.aborted], [false, false]);
  const [response] = await once(get({ port, host: '127.0.0.1', agent: false }), 'response');
  response.resume();
  assert.equal(response.statusCode, 200);
  await once(response, 'close');
  const { drained, tasksLeft, hooks } = await lifecycle.shutdown({ reason: 'two' });
  assert.deepEqual([drained, tasksLeft, hooks.length, runs], [true, 0, 1, ['two']]);
  assert.equal(server.listening, false);

  reset();
  const again = await listening(t, server);
  const [answer] = await once(get({ port: again, host: '127.0.0.1', agent: false }), 'response');
  answer.resume();
  assert.deepEqual([answer.statusCode, lifecycle.state], [200, 'starting']);
});

test('a guard forgets its clients and counts; the next construction sets its options and parts', async (t) => {
  const name = freshName();
  const rateLimit = { limit: 1, window: '1h' };
  const app = express();
  app.use(expressGuard({ name, rateLimit }));
  app.get('/', (_req, res) => res.send('ok'));
  const port = await listening(t, createServer(app));
  const status = async () => {
    const [response] = await once(get({ port, host: '127.0.0.1', agent: false }), 'response');
    response.resume();
    return response.statusCode;
  };
  assert.deepEqual([await status(), await status()], [200, 429]);
  reset();
  const guard = createGuard(name);
  assert.equal(guard.stats().allowed, 0);
  reset();
  assert.deepEqual([await status(), await status()], [200, 429]);
  reset();
  const bans = { maxFailures: 1, findTime: '1h', banTime: '1h', maxBanTime: '1d' };
  const other = createGuard(name, { rateLimit: { limit: 3, window: '1h' }, reputation: bans, dryRun: false });
  assert.equal(other.reputation.name, name);
  assert.deepEqual([await status(), await status(), await status(), await status()], [200, 200, 200, 429]);
  assert.equal(other.stats().allowed, 3);
  assert.throws(() => createGuard(name, { reputation: false }), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
});

test('warnings of guards come anew', async () => {
  const warned = [];
  const hear = ({ code }) => warned.push(code);
  process.on('warning', hear);
  const request = { socket: { remoteAddress: '192.0.2.1' }, headers: { 'x-forwarded-for': '192.0.2.2' } };
  createGuard(freshName()).check({ ...request, socket: { remoteAddress: '192.0.2.1' } });
  createGuard(freshName()).check({ ...request, socket: { remoteAddress: '192.0.2.1' } });
  reset();
  createGuard(freshName()).check({ ...request, socket: { remoteAddress: '192.0.2.1' } });
  await turns();
  process.off('warning', hear);
  assert.deepEqual(warned, ['SLUICE_UNTRUSTED_FORWARDED_FOR', 'SLUICE_UNTRUSTED_FORWARDED_FOR']);
});

test('in all threads: counts, values, waits and the options that come next', {
  timeout: 30_000,
}, async (t) => {
  const name = freshName();
  const limiter = new RateLimiter(name, { limit: 10, window: '1h' });
  const peers = await startPeers(t, 3);
  const begin = ({ load, state }, name) => {
    const { RateLimiter, Registry, ClientHub, Lifecycle, Broker } = load();
    state.limiter = new RateLimiter(name);
    state.registry = new Registry(name);
    state.hub = new ClientHub(name);
    state.lifecycle = new Lifecycle(name);
    state.broker = new Broker(name);
    state.limiter.consume('a', 3);
    state.registry.set(`by ${state.broker.id}`, 1);
    const code = (promise) =>
      promise.then(
        () => 'resolved',
        (error) => error.code,
      );
    state.waits = [
      code(state.hub.getOrInit('key', () => new Promise(() => {}))),
      code(state.broker.call('stuck', null)),
      code(state.lifecycle.shutdown({ delay: '1h' })),
    ];
    return state.registry.size;
  };
  const broker = new Broker(name);
  t.after(() => broker.close({ timeout: 0 }));
  let asked = 0;
  broker.handle('stuck', () => {
    asked += 1;
    return new Promise(() => {});
  });
  for (const peer of peers) await peer.run(begin, name);
  assert.deepEqual([limiter.peek('a').remaining, new Registry(name).size], [1, 3]);
  while (asked < 3) await turns();
  reset();
  for (const peer of peers) {
    const [waits, remaining, size, state] = await peer.run(
      async ({ state }) => [
        await Promise.all(state.waits),
        state.limiter.peek('a').remaining,
        state.registry.size,
        state.lifecycle.state,
      ],
      name,
    );
    assert.deepEqual(waits, Array(3).fill('ERR_SLUICE_CLOSED'));
    assert.deepEqual([remaining, size, state], [10, 0, 'starting']);
  }
  new RateLimiter(name, {
    limits: [
      { name: 'own', limit: 4, window: '1h' },
      { limit: 9, window: '1d' },
    ],
  });
  const policies = await Promise.all(
    peers.map((peer) => peer.run(({ state }) => state.limiter.consume('a').policy)),
  );
  assert.deepEqual(policies, ['own', 'own', 'own']);
  assert.equal(limiter.peek('a').remaining, 1);
});

test('a call made right after a reset is answered, in every thread', { timeout: 30_000 }, async (t) => {
  const name = freshName();
  const [peer] = await startPeers(t, 1);
  const broker = new Broker(name);
  t.after(() => broker.close({ timeout: 0 }));
  broker.handle('echo', (payload) => payload);
  await peer.run(({ load, state }, name) => {
    state.broker = new (load().Broker)(name);
    state.hub = new (load().ClientHub)(name);
  }, name);
  for (let round = 0; round < 50; round++) {
    reset();
    const answers = await peer.run(
      async ({ state }, round) => [
        await state.broker.call('echo', round),
        await state.hub.getOrInit('key', async () => round),
      ],
      round,
    );
    assert.deepEqual(answers, [round, round]);
  }
});

test('under NODE_ENV=production it throws and forgets nothing', (t) => {
  const before = process.env.NODE_ENV;
  t.after(() => {
    if (before === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = before;
  });
  const registry = new Registry(freshName());
  registry.set('key', 1);
  process.env.NODE_ENV = 'production';
  assert.throws(reset, {
    name: 'SluiceError',
    code: 'ERR_SLUICE_UNSUPPORTED',
    message: /NODE_ENV is "production"/,
  });
  assert.equal(registry.get('key'), 1);
});

test('what was destroyed stays destroyed', () => {
  const limiter = new RateLimiter(freshName(), { limit: 1, window: '1h' });
  RateLimiter.destroy(limiter.name);
  reset();
  assert.throws(() => limiter.tryConsume('a'), closed);
  const lifecycle = new Lifecycle(freshName());
  Lifecycle.destroy(lifecycle.name);
  reset();
  assert.throws(() => lifecycle.state, closed);
});

/** Another copy of the package in this thread, as a test runner loads it for each file; with the addon or by the same. */
function copyOfPackage({ withAddon }) {
  const require = createRequire(import.meta.url);
  const root = path.dirname(require.resolve('../../package.json')) + path.sep;
  for (const file of Object.keys(require.cache)) {
    const isOurs = file.startsWith(root) && !file.includes('node_modules');
    if (isOurs && (withAddon || !file.endsWith('.node'))) delete require.cache[file];
  }
  return { ...require('../../index.js'), ...require('../../lib/testing.js') };
}

for (const [what, how] of [
  ['each with an addon of its own', { withAddon: true }],
  ['all with one addon', { withAddon: false }],
]) {
  test(`copies of the package, as runners that reset modules leave them: ${what}`, {
    timeout: 20_000,
  }, async () => {
    const name = freshName();
    const listeners = process.listenerCount('worker');
    for (let file = 0; file < 3; file++) {
      const copy = copyOfPackage(how);
      const heard = [];
      const registry = new copy.Registry(name).on('change', ({ key }) => heard.push(key));
      const broker = new copy.Broker(name);
      broker.handle('echo', (payload) => payload);
      const lifecycle = new copy.Lifecycle(name);
      for (let round = 0; round < 2; round++) {
        copy.reset();
        registry.set(`${file} ${round}`, 1);
        assert.equal(await broker.call('echo', round), round);
        assert.equal(broker.peers().length, 1);
        // A part of a copy that is gone would never report.
        const { drained, perThread } = await lifecycle.shutdown({ timeout: '10m' });
        assert.deepEqual([drained, Object.keys(perThread).length], [true, 1]);
      }
      assert.deepEqual(heard, [`${file} 0`, `${file} 1`]);
      // The parts of the others ended with the resets.
      if (file === 2) await broker.close();
    }
    assert.equal(process.listenerCount('worker'), listeners);
  });
}
