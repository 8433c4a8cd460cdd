// onMismatch: 'reconfigure', of every named component and guard: the last construction wins, with one warning for each
// change; what is fixed at creation remains a mismatch, and 'error' is the default.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import test from 'node:test';
import express from 'express';
import fastify from 'fastify';
import sluice from '../../index.js';
import expressGuard from '../../lib/express.js';
import fastifyGuard from '../../lib/fastify.js';
import testing from '../../lib/testing.js';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { connect, listening } from '../helpers/sockets.mjs';

const { Broker, CircuitBreaker, ClientHub, ConnectionTracker, Lifecycle, RateLimiter, Registry } = sluice;
const { Reputation, SecurityMonitor, createGuard } = sluice;

const reconfigure = { onMismatch: 'reconfigure' };
const mismatch = (option) => ({
  code: 'ERR_SLUICE_CONFIG_MISMATCH',
  message: new RegExp(`created with ${option.replace(/[[\]]/g, '\\$&')} = .*fixed at creation`),
});

/** The messages of warnings of changes until the test looks. */
function warnings(t) {
  const messages = [];
  const hear = ({ code, message }) => code === 'SLUICE_RECONFIGURED' && messages.push(message);
  process.on('warning', hear);
  t.after(() => process.off('warning', hear));
  return async () => {
    await new Promise(setImmediate);
    return messages.splice(0);
  };
}

const rule = { event: 'scan', count: 3, window: '1h', action: 'alert' };
const bans = { maxFailures: 5, findTime: '1h', banTime: '1h', maxBanTime: '1d' };

/** Of each component: its options, others that may come into force, and those that may not, by name. */
const COMPONENTS = [
  [
    RateLimiter,
    { limit: 5, window: '1h' },
    { limit: 6, window: '1m', burst: 9, dryRun: true },
    { maxKeys: 7, overflow: 'deny', limits: { algorithm: 'fixed-window' } },
  ],
  [
    ConnectionTracker,
    { max: 5 },
    {
      max: 6,
      maxPerClient: 2,
      idleTimeout: '1m',
      opens: { limit: 2, window: '1m' },
      messages: { limit: 2, window: '1m' },
      bytes: { limit: 2, window: '1m' },
    },
    { clients: 'opaque', ipv6Prefix: 48 },
  ],
  [
    Reputation,
    bans,
    {
      ...bans,
      maxFailures: 1,
      findTime: '1m',
      banTime: '1m',
      banFactor: 3,
      maxBanTime: '2d',
      jitter: 0.5,
      allow: ['192.0.2.1'],
      deny: ['192.0.2.2'],
    },
    { ipv6Prefix: 48, maxClients: 7 },
  ],
  [
    SecurityMonitor,
    { rules: [rule] },
    { rules: [{ ...rule, count: 1, action: 'ban' }], reputation: 'any' },
    { history: 7, maxClients: 7 },
  ],
  [
    CircuitBreaker,
    { openFor: '1s' },
    {
      openFor: '2s',
      failureRate: 0.1,
      slowCallDuration: '1s',
      slowCallRate: 0.5,
      minimumCalls: 2,
      backoff: 2,
      maxOpenFor: '1h',
      jitter: 0.5,
      halfOpenCalls: 2,
      timeout: '1m',
    },
    { window: { calls: 7 }, maxPeers: 7 },
  ],
  [ClientHub, { maxEntries: 5, maxBytes: 500 }, { maxEntries: 6, maxBytes: 600 }, {}],
  [Broker, { inbox: 5 }, { inbox: 6 }, {}],
];

test('the length of a sliding window is fixed at creation, its limit is not', async (t) => {
  const told = warnings(t);
  const name = freshName();
  const options = { limit: 10, window: '1m', algorithm: 'sliding-window' };
  new RateLimiter(name, options);
  assert.throws(
    () => new RateLimiter(name, { ...options, window: '2m', ...reconfigure }),
    mismatch('window'),
  );
  assert.equal(new RateLimiter(name, { ...options, limit: 20, ...reconfigure }).peek('a').limit, 20);
  assert.equal((await told()).length, 1);
});

for (const [Component, options, changed, fixed] of COMPONENTS) {
  const { name: kind } = Component;
  const end = (t, instance) => t.after(() => instance instanceof Broker && instance.close({ timeout: 0 }));

  test(`${kind}: the last construction wins, with one warning for each change`, async (t) => {
    const told = warnings(t);
    const name = freshName();
    end(t, new Component(name, { ...options, onMismatch: 'error' }));
    assert.throws(() => new Component(name, changed), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
    assert.throws(() => new Component(name, { ...changed, onMismatch: 'error' }), {
      code: 'ERR_SLUICE_CONFIG_MISMATCH',
    });
    new Component(name, { ...options, ...reconfigure });
    assert.deepEqual(await told(), []);
    new Component(name, { ...changed, ...reconfigure });
    new Component(name, { ...changed, ...reconfigure });
    new Component(name, changed);
    const [warning, ...others] = await told();
    assert.deepEqual(others, []);
    assert.ok(warning.startsWith(`${kind} "${name}" was reconfigured: `), warning);
    for (const option of Object.keys(changed))
      assert.ok(warning.includes(`${option} = `), `${option}: ${warning}`);
    assert.throws(() => new Component(name, options), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
    new Component(name, { ...options, ...reconfigure });
    new Component(name, options);
    assert.equal((await told()).length, 1);
  });

  for (const [option, value] of Object.entries(fixed)) {
    test(`${kind}: ${option} is fixed at creation`, async (t) => {
      const told = warnings(t);
      const name = freshName();
      end(t, new Component(name, options));
      const others = option === 'limits' ? { ...options, ...value } : { ...options, [option]: value };
      assert.throws(() => new Component(name, { ...others, ...reconfigure }), mismatch(option));
      new Component(name, options);
      assert.deepEqual(await told(), []);
    });
  }

  test(`${kind}: what is no answer to a mismatch is a mistake`, () => {
    const invalid = {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: /onMismatch is "ignore"; accepted: "error", "reconfigure"/,
    };
    assert.throws(() => new Component(freshName(), { ...options, onMismatch: 'ignore' }), invalid);
  });
}

test('components without options take it as well', () => {
  for (const Component of [Registry, Lifecycle]) {
    const { name } = new Component(freshName(), reconfigure);
    new Component(name, { onMismatch: 'error' });
    assert.throws(() => new Component(name, { onMismatch: 1 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
  }
});

test('a limiter: what clients have used stays used, in all threads', async (t) => {
  const name = freshName();
  const limiter = new RateLimiter(name, { limit: 5, window: '1h' });
  limiter.tryConsume('a', 4);
  const [peer] = startPeers(t, 1);
  await peer.run(({ load, state }, name) => {
    const options = { limit: 10, window: '1h', onMismatch: 'reconfigure' };
    state.limiter = new (load().RateLimiter)(name, options);
  }, name);
  assert.equal(limiter.peek('a').limit, 10);
  new RateLimiter(name, { limit: 4, window: '1h', ...reconfigure });
  const inThread = await peer.run(({ state }) => [
    state.limiter.peek('a').limit,
    state.limiter.tryConsume('a'),
  ]);
  assert.deepEqual(inThread, [4, false]);
});

test('a limiter of several limits: their quotas change, their names and number do not', async (t) => {
  const told = warnings(t);
  const name = freshName();
  const limits = (first) => [
    { name: 'a', limit: first, window: '1m' },
    { name: 'b', limit: 50, window: '1h' },
  ];
  const limiter = new RateLimiter(name, { limits: limits(5) });
  new RateLimiter(name, { limits: limits(6), ...reconfigure });
  assert.deepEqual([limiter.peek('x').limit, (await told()).length], [6, 1]);
  assert.throws(
    () => new RateLimiter(name, { limits: limits(6).slice(1), ...reconfigure }),
    mismatch('limits'),
  );
  assert.throws(() => new RateLimiter(name, { limit: 6, window: '1m', ...reconfigure }), mismatch('limits'));
});

test('a tracker: caps, quotas and the idle timeout come into force for connections that are open', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const name = freshName();
  const tracker = new ConnectionTracker(name, { max: 1 });
  const server = createServer(() => {});
  const port = await listening(t, server);
  tracker.attach(server);
  const socket = await connect(t, { port, host: '127.0.0.1' });
  while (tracker.count === 0) await new Promise(setImmediate);
  assert.equal(tracker.tryOpen('192.0.2.1'), null);
  new ConnectionTracker(name, {
    max: 3,
    messages: { limit: 1, window: '1h' },
    idleTimeout: '40s',
    ...reconfigure,
  });
  const session = tracker.tryOpen('192.0.2.1');
  assert.deepEqual([session.tryMessage(), session.tryMessage()], [true, false]);
  new ConnectionTracker(name, { idleTimeout: '40s', ...reconfigure });
  assert.equal(session.tryMessage(), true);
  clock.advance('40s');
  await socket.gone;
});

test('a tracker: how often clients may open changes, appears and disappears', () => {
  const name = freshName();
  const tracker = new ConnectionTracker(name, {});
  const open = (ip = '192.0.2.1') => tracker.tryOpen(ip) !== null;
  assert.deepEqual([open(), open()], [true, true]);
  new ConnectionTracker(name, { opens: { limit: 1, window: '1h' }, ...reconfigure });
  assert.deepEqual([open(), open()], [true, false]);
  new ConnectionTracker(name, { opens: { limit: 100, window: '1h' }, ...reconfigure });
  assert.deepEqual([open('192.0.2.2'), open('192.0.2.2')], [true, true]);
  new ConnectionTracker(name, { ...reconfigure });
  assert.equal(open(), true);
});

test('a reputation: bans stand, the new rules count from the next failure on', () => {
  const name = freshName();
  const reputation = new Reputation(name, { ...bans, deny: ['198.51.100.1'] });
  reputation.ban('192.0.2.1', { duration: '1h' });
  reputation.recordFailure('192.0.2.2');
  new Reputation(name, { ...bans, maxFailures: 2, deny: ['198.51.100.2'], ...reconfigure });
  assert.deepEqual(
    [reputation.recordFailure('192.0.2.2').banned, reputation.isBanned('192.0.2.1')],
    [true, true],
  );
  assert.deepEqual(
    ['198.51.100.1', '198.51.100.2'].map((ip) => reputation.isBanned(ip)),
    [false, true],
  );
});

test('a monitor: rules that count as before go on, others begin', async () => {
  const name = freshName();
  const kept = { ...rule, name: 'kept' };
  const monitor = new SecurityMonitor(name, { rules: [{ ...rule, name: 'edited' }, kept] });
  const alerts = [];
  const alive = setInterval(() => {}, 1000);
  monitor.on('alert', ({ rule }) => alerts.push(rule));
  const scan = () => monitor.record('scan', '192.0.2.1');
  scan();
  scan();
  const rules = [
    { ...rule, name: 'new', event: 'other', count: 1 },
    { ...kept, mute: 0 },
    { ...rule, name: 'edited', count: 2 },
  ];
  new SecurityMonitor(name, { rules, ...reconfigure });
  scan();
  monitor.record('other', '192.0.2.1');
  scan();
  while (alerts.length < 4) await new Promise(setImmediate);
  clearInterval(alive);
  assert.deepEqual(alerts, ['kept', 'new', 'kept', 'edited']);
  assert.deepEqual([monitor.counts(), monitor.history().length], [{ scan: 4, other: 1 }, 5]);
});

test('a breaker: its timeout appears, changes and disappears for calls that begin', {
  timeout: 10_000,
}, async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const name = freshName();
  const options = { openFor: '1s', minimumCalls: 100 };
  const breaker = new CircuitBreaker(name, options);
  const timesOut = (ms) =>
    assert.rejects(
      breaker.fire('peer', () => new Promise(() => {})),
      {
        code: 'ERR_SLUICE_TIMEOUT',
        message: new RegExp(`longer than ${ms} ms`),
      },
    );
  let finish;
  const endless = breaker.fire('peer', () => new Promise((resolve) => (finish = resolve)));
  new CircuitBreaker(name, { ...options, timeout: 500, ...reconfigure });
  const first = timesOut(500);
  new CircuitBreaker(name, { ...options, timeout: 200, ...reconfigure });
  const second = timesOut(200);
  clock.advance(500);
  await Promise.all([first, second]);
  new CircuitBreaker(name, { ...options, ...reconfigure });
  const other = breaker.fire('peer', () => new Promise((resolve) => setImmediate(resolve, 'done')));
  clock.advance('1h');
  finish('at last');
  assert.deepEqual(await Promise.all([endless, other]), ['at last', 'done']);
});

test('a breaker: thresholds of circuits that are there', () => {
  const name = freshName();
  const options = { openFor: '1s', minimumCalls: 100 };
  const breaker = new CircuitBreaker(name, options);
  breaker.tryAcquire('peer').failure();
  assert.equal(breaker.state('peer'), 'closed');
  new CircuitBreaker(name, { ...options, minimumCalls: 2, ...reconfigure });
  breaker.tryAcquire('peer').failure();
  assert.equal(breaker.state('peer'), 'open');
  new CircuitBreaker(name, { errorFilter: () => true, ...reconfigure });
});

test('a hub and a broker: their bounds', async (t) => {
  const name = freshName();
  const hub = new ClientHub(name, { maxEntries: 5 });
  new ClientHub(name, { maxEntries: 1, ...reconfigure });
  for (const key of ['a', 'b', 'c']) await hub.getOrInit(key, async () => key);
  assert.equal(hub.stats().entries, 1);
  new ClientHub(name, { maxBytes: 1_000, ...reconfigure });
  assert.throws(() => new ClientHub(name, { maxEntries: 5 }), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });

  const broker = new Broker(name, { inbox: 1 });
  t.after(() => broker.close({ timeout: 0 }));
  broker.handle('stuck', () => new Promise(() => {}));
  const call = () => broker.call('stuck', null).catch(({ code }) => code);
  call();
  assert.equal(await call(), 'ERR_SLUICE_BACKPRESSURE');
  new Broker(name, { inbox: 2, ...reconfigure });
  const second = call();
  assert.equal(await call(), 'ERR_SLUICE_BACKPRESSURE');
  await broker.close({ timeout: 0 });
  assert.equal(await second, 'ERR_SLUICE_CLOSED');
});

const fetchFrom = async (port, headers = {}) => {
  const [response] = await once(get({ port, host: '127.0.0.1', agent: false, headers }), 'response');
  response.resume();
  return response.statusCode;
};

test('a guard: its parts, what it records and whom it trusts, for middleware that is mounted', async (t) => {
  const told = warnings(t);
  const name = freshName();
  const options = { name, rateLimit: { limit: 1, window: '1h' }, reputation: bans };
  const app = express();
  const middleware = expressGuard(options);
  await told();
  app.use(middleware);
  app.use((req, res) => res.status(Number(req.headers.status ?? 200)).end());
  const port = await listening(t, createServer(app));
  assert.deepEqual([await fetchFrom(port), await fetchFrom(port)], [200, 429]);
  assert.throws(() => expressGuard({ ...options, rateLimit: { limit: 9, window: '1h' } }), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
  });

  const edited = {
    ...options,
    rateLimit: { limit: 9, window: '1h' },
    reputation: { ...bans, maxFailures: 1 },
    record: { 418: 'teapot' },
    trustedProxies: ['127.0.0.1'],
  };
  expressGuard({ ...edited, ...reconfigure });
  const messages = await told();
  assert.deepEqual(messages.map((message) => message.split(' ')[0]).sort(), [
    'RateLimiter',
    'Reputation',
    'guard',
  ]);
  assert.equal(await fetchFrom(port, { 'x-forwarded-for': '192.0.2.7', status: 418 }), 418);
  assert.deepEqual(
    [
      await fetchFrom(port, { 'x-forwarded-for': '192.0.2.7' }),
      await fetchFrom(port, { 'x-forwarded-for': '192.0.2.8' }),
    ],
    [403, 200],
  );
  expressGuard(edited);
  for (const [option, value] of [
    ['rateLimit', false],
    ['connections', {}],
    ['monitor', { rules: [] }],
    ['dryRun', true],
  ]) {
    assert.throws(() => expressGuard({ ...edited, [option]: value, ...reconfigure }), mismatch(option));
  }
});

test('a guard in another thread follows', { timeout: 20_000 }, async (t) => {
  const name = freshName();
  const options = { rateLimit: { limit: 5, window: '1h' }, reputation: bans };
  createGuard(name, options);
  const [peer] = startPeers(t, 1);
  const key = ({ state }) => {
    const socket = { remoteAddress: '127.0.0.1' };
    state.guard.check({ socket, headers: { 'x-forwarded-for': '192.0.2.9' } });
    return state.guard.limiter.peek('192.0.2.9').remaining;
  };
  await peer.run(
    ({ load, state }, [name, options]) => {
      state.guard = load().createGuard(name, options);
    },
    [name, options],
  );
  assert.equal(await peer.run(key), 5);
  createGuard(name, { ...options, trustedProxies: ['127.0.0.1'], ...reconfigure });
  for (let round = 0, remaining = 5; remaining === 5; round++) {
    assert.ok(round < 100, 'the other thread follows within some turns');
    remaining = await peer.run(key);
  }
});

test('routes of Fastify and middleware follow what their guard says', async (t) => {
  const told = warnings(t);
  const name = freshName();
  const app = async (limit, more) => {
    const server = fastify();
    await server.register(fastifyGuard, { name, ...more });
    const config = { sluice: { rateLimit: { limit, window: '1h' } } };
    server.get('/', { config }, async () => 'ok');
    await server.ready();
    t.after(() => server.close());
    return server;
  };
  const first = await app(1);
  await told();
  await assert.rejects(app(2), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
  await app(2, reconfigure);
  assert.match((await told())[0], /^RateLimiter ".*:GET \/" was reconfigured: limit = 2 instead of 1/);
  const statuses = [];
  for (let round = 0; round < 3; round++) statuses.push((await first.inject('/')).statusCode);
  assert.deepEqual(statuses, [200, 200, 429]);
});
