// onMismatch: 'reconfigure' of every named component. The last construction wins, with one warning per change; options
// fixed at creation remain a mismatch, and 'error' is the default. Guards are in on-mismatch-guard.test.mjs.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { connect, listening } from '../helpers/sockets.mjs';
import { bans, mismatch, reconfigure, rule, warnings } from './mismatch.mjs';

const { Broker, CircuitBreaker, ClientHub, ConnectionTracker, Lifecycle, LoadShedder, RateLimiter } = sluice;
const { Registry, Reputation, SecurityMonitor, Semaphore } = sluice;

/** Each component with its options, with changed options that can take effect, and with options fixed at creation. */
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
  [LoadShedder, { targetDelay: 50 }, { targetDelay: 60 }, {}],
  [Broker, { inbox: 5 }, { inbox: 6 }, {}],
  [Semaphore, { permits: 5 }, { permits: 6, maxWaiting: 7 }, {}],
];

test('RateLimiter: the window of a sliding window is fixed at creation, its limit is not', async (t) => {
  const newWarnings = warnings(t);
  const name = freshName();
  const options = { limit: 10, window: '1m', algorithm: 'sliding-window' };
  new RateLimiter(name, options);
  assert.throws(
    () => new RateLimiter(name, { ...options, window: '2m', ...reconfigure }),
    mismatch('window'),
  );
  assert.equal(new RateLimiter(name, { ...options, limit: 20, ...reconfigure }).peek('a').limit, 20);
  assert.equal((await newWarnings()).length, 1);
});

for (const [Component, options, changed, fixed] of COMPONENTS) {
  const { name: kind } = Component;
  const end = (t, instance) => t.after(() => instance instanceof Broker && instance.close({ timeout: 0 }));

  test(`${kind}: the last construction wins, with one warning for each change`, async (t) => {
    const newWarnings = warnings(t);
    const name = freshName();
    end(t, new Component(name, { ...options, onMismatch: 'error' }));
    assert.throws(() => new Component(name, changed), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
    assert.throws(() => new Component(name, { ...changed, onMismatch: 'error' }), {
      code: 'ERR_SLUICE_CONFIG_MISMATCH',
    });
    new Component(name, { ...options, ...reconfigure });
    assert.deepEqual(await newWarnings(), []);
    new Component(name, { ...changed, ...reconfigure });
    new Component(name, { ...changed, ...reconfigure });
    new Component(name, changed);
    const [warning, ...others] = await newWarnings();
    assert.deepEqual(others, []);
    assert.ok(warning.startsWith(`${kind} "${name}" was reconfigured: `), warning);
    for (const option of Object.keys(changed))
      assert.ok(warning.includes(`${option} = `), `${option}: ${warning}`);
    assert.throws(() => new Component(name, options), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
    new Component(name, { ...options, ...reconfigure });
    new Component(name, options);
    assert.equal((await newWarnings()).length, 1);
  });

  for (const [option, value] of Object.entries(fixed)) {
    test(`${kind}: ${option} is fixed at creation`, async (t) => {
      const newWarnings = warnings(t);
      const name = freshName();
      end(t, new Component(name, options));
      const others = option === 'limits' ? { ...options, ...value } : { ...options, [option]: value };
      assert.throws(() => new Component(name, { ...others, ...reconfigure }), mismatch(option));
      new Component(name, options);
      assert.deepEqual(await newWarnings(), []);
    });
  }

  test(`${kind}: an invalid onMismatch throws`, () => {
    const invalid = {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: /onMismatch is "ignore"; accepted: "error", "reconfigure"/,
    };
    assert.throws(() => new Component(freshName(), { ...options, onMismatch: 'ignore' }), invalid);
  });
}

test('components without options accept onMismatch too', () => {
  for (const Component of [Registry, Lifecycle]) {
    const { name } = new Component(freshName(), reconfigure);
    new Component(name, { onMismatch: 'error' });
    assert.throws(() => new Component(name, { onMismatch: 1 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
  }
});

test('RateLimiter: reconfiguring keeps what clients have consumed, in all threads', async (t) => {
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

test('RateLimiter: the quotas of several limits can change, their names and number cannot', async (t) => {
  const newWarnings = warnings(t);
  const name = freshName();
  const limits = (first) => [
    { name: 'a', limit: first, window: '1m' },
    { name: 'b', limit: 50, window: '1h' },
  ];
  const limiter = new RateLimiter(name, { limits: limits(5) });
  new RateLimiter(name, { limits: limits(6), ...reconfigure });
  assert.deepEqual([limiter.peek('x').limit, (await newWarnings()).length], [6, 1]);
  assert.throws(
    () => new RateLimiter(name, { limits: limits(6).slice(1), ...reconfigure }),
    mismatch('limits'),
  );
  assert.throws(() => new RateLimiter(name, { limit: 6, window: '1m', ...reconfigure }), mismatch('limits'));
});

test('ConnectionTracker: new caps, quotas and idle timeouts apply to open connections', async (t) => {
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

test('ConnectionTracker: opens can be added, changed and removed', () => {
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

test('Reputation: bans are kept; new rules apply from the next failure on', () => {
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

test('SecurityMonitor: unchanged rules keep their counts, changed and new rules start at 0', async (t) => {
  const name = freshName();
  const kept = { ...rule, name: 'kept' };
  const monitor = new SecurityMonitor(name, { rules: [{ ...rule, name: 'edited' }, kept] });
  const alerts = [];
  // Listeners do not keep the process alive; the timer does.
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
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
  assert.deepEqual(alerts, ['kept', 'new', 'kept', 'edited']);
  assert.deepEqual([monitor.counts(), monitor.history().length], [{ scan: 4, other: 1 }, 5]);
});

test('CircuitBreaker: timeout can be added, changed and removed for later calls', {
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

test('CircuitBreaker: new thresholds apply to existing circuits', () => {
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

test('ClientHub and Broker: new bounds apply', async (t) => {
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
