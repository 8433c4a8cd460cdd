// reset() of sluice/testing, per component: instances are empty, objects, listeners and servers stay, and the next
// construction sets the options. Threads and copies of the package are in testing-reset-threads.test.mjs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import net from 'node:net';
import test from 'node:test';
import express from 'express';
import sluice from '../../index.js';
import expressGuard from '../../lib/express.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';
import { connect, listening } from '../helpers/sockets.mjs';

const { Broker, CircuitBreaker, ClientHub, ConnectionTracker, Lifecycle, RateLimiter, Registry } = sluice;
const { Reputation, SecurityMonitor, createGuard } = sluice;
const { reset } = testing;

const closed = { code: 'ERR_SLUICE_CLOSED' };
const turns = async (count = 3) => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
};

test('RateLimiter: clients, blocks and counts are cleared; options are kept', () => {
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

test('RateLimiter: the next construction sets all options, also for existing objects', () => {
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
  test(`RateLimiter: a ${algorithm} can get another window and a larger limit`, () => {
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

test('RateLimiter: reconfigured options stay in effect until the next construction with options', () => {
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

test('ConnectionTracker: connections are released; sockets and attached servers stay', async (t) => {
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
  assert.equal(tracker.count, 1, 'the end of an earlier connection is not counted');
  assert.equal(
    new ConnectionTracker(name, { max: 7, clients: 'opaque' }).tryOpen('not an address').client,
    'not an address',
  );
});

test('ConnectionTracker: a pending drain() rejects', async () => {
  const tracker = new ConnectionTracker(freshName(), {});
  tracker.tryOpen('192.0.2.1');
  const drained = assert.rejects(tracker.drain({ timeout: '1h' }), closed);
  reset();
  await drained;
  assert.equal(await tracker.drain(), true);
});

test('Registry: values and undelivered changes are dropped; listeners receive later changes', async () => {
  const registry = new Registry(freshName());
  const changes = [];
  registry.on('change', ({ key, missed }) => changes.push([key, missed]));
  registry.set('before', 1);
  const { version } = registry;
  reset();
  assert.deepEqual([registry.size, registry.get('before'), registry.snapshot().size], [0, undefined, 0]);
  assert.ok(registry.version > version);
  registry.set('after', 2);
  await turns();
  assert.deepEqual([changes, registry.get('after')], [[['after', undefined]], 2]);
});

test('Reputation: bans, failures and lists set by setLists() are cleared', () => {
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

test('SecurityMonitor: counts and history are cleared; listeners receive later alerts', async () => {
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

test('CircuitBreaker: circuits are closed; earlier permits have no effect', () => {
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

test('ClientHub: values are cleared, pending calls reject, and later calls run', async () => {
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

test('Broker: pending calls reject; handlers stay', async (t) => {
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

test('Lifecycle: the state is "starting" and a pending shutdown() rejects; servers and hooks stay', {
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

test('createGuard: clients and counts are cleared; the next construction sets options and components', async (t) => {
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

test('createGuard: warnings are emitted again', async (t) => {
  const warned = [];
  const collect = ({ code }) => warned.push(code);
  process.on('warning', collect);
  t.after(() => process.off('warning', collect));
  const request = { socket: { remoteAddress: '192.0.2.1' }, headers: { 'x-forwarded-for': '192.0.2.2' } };
  createGuard(freshName()).check({ ...request, socket: { remoteAddress: '192.0.2.1' } });
  createGuard(freshName()).check({ ...request, socket: { remoteAddress: '192.0.2.1' } });
  reset();
  createGuard(freshName()).check({ ...request, socket: { remoteAddress: '192.0.2.1' } });
  await turns();
  assert.deepEqual(warned, ['SLUICE_UNTRUSTED_FORWARDED_FOR', 'SLUICE_UNTRUSTED_FORWARDED_FOR']);
});
