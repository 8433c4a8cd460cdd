// node:diagnostics_channel: what this package publishes, where anything subscribes.
import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { describe, test } from 'node:test';
import sluice from '../../index.js';
import { requestFrom } from '../helpers/everything.mjs';
import { startPeers } from '../helpers/peer.mjs';
import { freshNames } from '../helpers/setup.mjs';

const BANS = { maxFailures: 2, findTime: '1m', banTime: '1h', maxBanTime: '1h' };
const freshName = freshNames('channels');

/** What is published to a channel until the test ends. `next()` resolves to the first payload that was not taken yet. */
function listen(t, name) {
  const payloads = [];
  const waiting = [];
  const listener = (payload) => {
    if (waiting.length > 0) waiting.shift()(payload);
    else payloads.push(payload);
  };
  diagnostics.subscribe(`sluice:${name}`, listener);
  t.after(() => diagnostics.unsubscribe(`sluice:${name}`, listener));
  const next = async () => {
    if (payloads.length > 0) return payloads.shift();
    // Events of components keep no thread alive.
    const alive = setInterval(() => {}, 60_000);
    const payload = await new Promise((resolve) => waiting.push(resolve));
    clearInterval(alive);
    return payload;
  };
  return { payloads, next };
}

describe('guard:refusal', () => {
  test('has the reason, the client and the time to wait', (t) => {
    const { payloads } = listen(t, 'guard:refusal');
    const guard = sluice.createGuard(freshName(), {
      rateLimit: { limit: 1, window: '1h' },
      reputation: BANS,
    });
    for (let one = 0; one < 2; one++) guard.check(requestFrom('192.0.2.1'));
    guard.reputation.ban('192.0.2.2', { duration: '1h' });
    guard.check(requestFrom('192.0.2.2'));
    const client = (address) => ({ address, key: address });
    const [quota, ban, ...others] = payloads;
    assert.ok(quota.retryAfterMs > 3_000_000 && ban.retryAfterMs > 3_000_000);
    assert.deepEqual(
      [quota, ban].map(({ retryAfterMs: _, ...rest }) => rest),
      [
        { guard: guard.name, reason: 'quota', status: 429, client: client('192.0.2.1'), dryRun: false },
        { guard: guard.name, reason: 'ban', status: 403, client: client('192.0.2.2'), dryRun: false },
      ],
    );
    assert.deepEqual(others, []);
  });

  test('in a dry run it says so', (t) => {
    const { payloads } = listen(t, 'guard:refusal');
    const guard = sluice.createGuard(freshName(), { rateLimit: { limit: 1, window: '1h' }, dryRun: true });
    for (let one = 0; one < 2; one++) assert.ok(guard.check(requestFrom('192.0.2.1')).allowed);
    assert.deepEqual(
      payloads.map(({ reason, dryRun }) => [reason, dryRun]),
      [['quota', true]],
    );
  });

  test('at accept it has no status', async (t) => {
    const { next } = listen(t, 'guard:refusal');
    const guard = sluice.createGuard(freshName(), { reputation: BANS });
    guard.reputation.ban('127.0.0.1', { duration: '1h' });
    const server = http.createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    guard.attach(server);
    await once(server, 'listening');
    const socket = net.connect(server.address().port, '127.0.0.1');
    socket.on('error', () => {});
    const { reason, status, client } = await next();
    socket.destroy();
    assert.deepEqual([reason, status, client.address], ['ban', null, '127.0.0.1']);
  });
});

test('guard:fault has the error', (t) => {
  const { payloads } = listen(t, 'guard:fault');
  const guard = sluice.createGuard(freshName());
  sluice.RateLimiter.destroy(guard.name);
  assert.equal(guard.check(requestFrom('192.0.2.1')).outcome, 'fault');
  const [{ guard: name, error }] = payloads;
  assert.deepEqual([name, error.code], [guard.name, 'ERR_SLUICE_CLOSED']);
});

test('connection-tracker:refusal', async (t) => {
  const { next } = listen(t, 'connection-tracker:refusal');
  const tracker = new sluice.ConnectionTracker(freshName(), { max: 1 });
  tracker.tryOpen('192.0.2.1');
  const server = net.createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  tracker.attach(server);
  await once(server, 'listening');
  const socket = net.connect(server.address().port, '127.0.0.1');
  socket.on('error', () => {});
  const { tracker: name, reason, client } = await next();
  socket.destroy();
  assert.deepEqual([name, reason, client], [tracker.name, 'max', '127.0.0.1']);
});

test('reputation:ban and reputation:unban, also of another thread', async (t) => {
  const [bans, unbans] = ['ban', 'unban'].map((event) => listen(t, `reputation:${event}`));
  const reputation = new sluice.Reputation(freshName(), BANS);
  const [peer] = startPeers(t, 1);
  await peer.run(({ load }, name) => {
    new (load().Reputation)(name).ban('192.0.2.1', { duration: '1h', reason: 'seen' });
  }, reputation.name);
  const { until, ...ban } = await bans.next();
  assert.ok(until > Date.now());
  assert.deepEqual(ban, {
    reputation: reputation.name,
    client: '192.0.2.1',
    reason: 'seen',
    by: 'manual',
    extended: false,
  });
  reputation.unban('192.0.2.1');
  const { reputation: name, client } = await unbans.next();
  assert.deepEqual([name, client], [reputation.name, '192.0.2.1']);
});

test('security-monitor:alert', async (t) => {
  const { next } = listen(t, 'security-monitor:alert');
  const rules = [{ name: 'two', event: 'login-failed', count: 2, window: '1m', action: 'alert' }];
  const monitor = new sluice.SecurityMonitor(freshName(), { rules });
  for (let one = 0; one < 2; one++) monitor.record('login-failed', '192.0.2.1');
  const { monitor: name, rule, client, count } = await next();
  assert.deepEqual([name, rule, client, count], [monitor.name, 'two', '192.0.2.1', 2]);
});

test('circuit-breaker:open and circuit-breaker:close', async (t) => {
  const [opened, closed] = ['open', 'close'].map((event) => listen(t, `circuit-breaker:${event}`));
  const breaker = new sluice.CircuitBreaker(freshName(), { openFor: '10s' });
  breaker.isolate('target');
  const { breaker: name, peer, state, from } = await opened.next();
  assert.deepEqual([name, peer, state, from], [breaker.name, 'target', 'isolated', 'closed']);
  breaker.reset('target');
  assert.equal((await closed.next()).state, 'closed');
});

test('lifecycle:change', async (t) => {
  const { next } = listen(t, 'lifecycle:change');
  const lifecycle = new sluice.Lifecycle(freshName());
  lifecycle.ready();
  assert.deepEqual(await next(), { lifecycle: lifecycle.name, state: 'running' });
  await lifecycle.shutdown();
  assert.deepEqual(await next(), { lifecycle: lifecycle.name, state: 'draining' });
});

test('broker:peer-join and broker:peer-leave', async (t) => {
  const [joined, left] = ['peer-join', 'peer-leave'].map((event) => listen(t, `broker:${event}`));
  const broker = new sluice.Broker(freshName());
  t.after(() => broker.close());
  broker.on('message', () => {});
  const [peer] = startPeers(t, 1);
  const id = await peer.run(({ load }, name) => new (load().Broker)(name).id, broker.name);
  const join = await joined.next();
  assert.deepEqual([join.broker, join.id], [broker.name, id]);
  await peer.end();
  const leave = await left.next();
  assert.deepEqual([leave.broker, leave.id], [broker.name, id]);
});

test('several objects of an instance publish an event once, and one that is made anew publishes again', async (t) => {
  const { payloads, next } = listen(t, 'circuit-breaker:open');
  const name = freshName();
  const [breaker] = [1, 2, 3].map(() => new sluice.CircuitBreaker(name, { openFor: '10s' }));
  breaker.isolate('one');
  breaker.isolate('two');
  assert.deepEqual([(await next()).peer, (await next()).peer], ['one', 'two']);
  assert.deepEqual(payloads, []);
  sluice.CircuitBreaker.destroy(name);
  new sluice.CircuitBreaker(name, { openFor: '10s' }).isolate('three');
  assert.equal((await next()).peer, 'three');
});

test('nothing is loaded for events before something subscribes', async (t) => {
  const [peer] = startPeers(t, 1);
  const isLoaded = ({ load, require }, { name, channel }) => {
    if (channel !== undefined) require('node:diagnostics_channel').subscribe(channel, () => {});
    const { CircuitBreaker, Lifecycle, Reputation, SecurityMonitor } = load();
    new CircuitBreaker(name, { openFor: '10s' });
    new Lifecycle(name);
    new Reputation(name, { maxFailures: 2, findTime: '1m', banTime: '1h', maxBanTime: '1h' });
    new SecurityMonitor(name, { rules: [] });
    return Object.keys(require.cache).some((file) => file.endsWith('published-events.js'));
  };
  const name = freshName();
  assert.equal(await peer.run(isLoaded, { name }), false);
  assert.equal(await peer.run(isLoaded, { name, channel: 'sluice:reputation:ban' }), true);
});
