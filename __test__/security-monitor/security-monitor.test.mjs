// SecurityMonitor: counts, rules, history and alerts. Options are tested in options.test.mjs, threads in
// threads.test.mjs.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';

const { Reputation, SecurityMonitor } = sluice;

const NOON = Date.UTC(2030, 0, 1, 12);
const clock = testing.manualClock();
test.beforeEach(() => clock.set(NOON));
test.after(() => clock.restore());

const IP = '192.0.2.1';
const OTHER = '192.0.2.2';
const RULE = { event: 'login-failed', count: 3, window: '1m', action: 'alert' };

const fresh = (...rules) => new SecurityMonitor(freshName(), { rules });

/** Returns a function that waits for all raised alerts and resolves with those since its last call. */
function collectAlerts(monitor) {
  const alerts = [];
  let returned = 0;
  monitor.on('alert', (alert) => alerts.push(alert));
  return async () => {
    while (alerts.length < monitor.stats().alerts) await new Promise(setImmediate);
    const since = alerts.slice(returned);
    returned = alerts.length;
    return since;
  };
}

/** The positions, from 1, of those events of one client that raise an alert. */
async function alertsAt(rule, steps) {
  const monitor = fresh(rule);
  const alerts = [];
  for (const [index, [wait, detail]] of steps.entries()) {
    clock.advance(wait);
    const { alerts: before } = monitor.stats();
    monitor.record(rule.event, IP, detail);
    if (monitor.stats().alerts > before) alerts.push(index + 1);
  }
  return alerts;
}

const times = (...waits) => waits.map((wait) => [wait]);

test('the count-th event within the window raises an alert', async () => {
  const monitor = fresh({ name: 'guessing', ...RULE });
  const alerts = collectAlerts(monitor);
  for (const detail of ['a', 'b']) monitor.record('login-failed', IP, detail);
  assert.deepEqual(await alerts(), []);
  clock.advance('10s');
  monitor.record('login-failed', '::ffff:192.0.2.1', 'c');
  monitor.record('login-failed', IP, 'd');
  const alert = {
    rule: 'guessing',
    event: 'login-failed',
    client: IP,
    count: 3,
    detail: 'c',
    at: NOON + 10_000,
  };
  assert.deepEqual(await alerts(), [alert]);
});

test('an event leaves the window once it is as old as the window', async () => {
  assert.deepEqual(await alertsAt(RULE, times(0, 0, 59_999)), [3]);
  assert.deepEqual(await alertsAt(RULE, times(0, 0, 60_000)), []);
  assert.deepEqual(await alertsAt(RULE, times(0, '30s', '30s', 29_999)), [4]);
  assert.deepEqual(await alertsAt({ ...RULE, count: 1, mute: 0 }, times(0, 0, '1h')), [1, 2, 3]);
});

test('mute silences a rule for one client after an alert, by default for the length of its window', async () => {
  const two = { ...RULE, count: 2 };
  assert.deepEqual(await alertsAt(two, times(0, 0, 0, 59_999, 0, 1)), [2, 6]);
  assert.deepEqual(await alertsAt({ ...two, mute: '10s' }, times(0, 0, 9999, 1)), [2, 4]);
  assert.deepEqual(await alertsAt({ ...two, mute: '2m' }, times(0, 0, '1m', '59s', '1s', 0)), [2, 5]);
  assert.deepEqual(await alertsAt({ ...two, mute: 0 }, times(0, 0, 0, 0)), [2, 3, 4]);

  const monitor = fresh(two);
  for (let i = 0; i < 5; i++) monitor.record('login-failed', IP);
  for (let i = 0; i < 2; i++) monitor.record('login-failed', OTHER);
  assert.equal(monitor.stats().alerts, 2, 'mute applies to one client');
  assert.equal(monitor.stats().muted, 3);
});

test('a distinct rule counts different details, each from its latest occurrence', async () => {
  const rule = { ...RULE, distinct: true };
  const same = (...details) => details.map((detail) => [0, detail]);
  assert.deepEqual(await alertsAt(rule, same('a', 'a', 'a', 'b', 'a', 'b', 'c', 'd')), [7]);
  assert.deepEqual(await alertsAt(rule, same(undefined, undefined, undefined, undefined)), []);
  assert.deepEqual(await alertsAt(rule, same('', undefined, 'a', undefined, 'b')), [5]);
  const seen = [
    [0, 'a'],
    [0, 'b'],
    ['40s', 'a'],
    ['20s', 'c'],
    [0, 'd'],
  ];
  assert.deepEqual(await alertsAt(rule, seen), [5], 'b has left the window, a has not');
  const long = 'x'.repeat(256);
  assert.deepEqual(
    await alertsAt(rule, same(`${long}1`, `${long}2`, `${long}3`)),
    [],
    'details are compared up to 256 bytes',
  );
});

test('several rules apply to one event independently', async () => {
  const monitor = fresh(
    { name: 'few', ...RULE, count: 2, mute: '1h' },
    { name: 'many', ...RULE, count: 4 },
    { name: 'passwords', ...RULE, distinct: true },
    { name: 'other', ...RULE, event: 'probe', count: 1 },
  );
  const alerts = collectAlerts(monitor);
  for (const detail of ['a', 'b', 'a', 'c']) monitor.record('login-failed', IP, detail);
  assert.deepEqual(
    (await alerts()).map(({ rule, detail }) => [rule, detail]),
    [
      ['few', 'b'],
      ['many', 'c'],
      ['passwords', 'c'],
    ],
  );
  monitor.record('probe', IP);
  assert.deepEqual(
    (await alerts()).map(({ rule, detail }) => [rule, detail]),
    [['other', undefined]],
  );
});

test('an unnamed rule is named by its event, count and window', async () => {
  const monitor = fresh(RULE, { ...RULE, distinct: true, window: 1500 });
  const alerts = collectAlerts(monitor);
  for (const detail of ['a', 'b', 'c']) monitor.record('login-failed', IP, detail);
  assert.deepEqual(
    (await alerts()).map(({ rule }) => rule),
    ['login-failed-3-per-1m', 'login-failed-distinct-3-per-1500ms'],
  );
});

test('a client is one IPv6 prefix, or one IPv4 address in any notation', () => {
  const monitor = fresh();
  for (const ip of ['2001:db8:1:2::3', '[2001:db8:1:2:ffff::9]:443', '2001:db8:1:2::%eth0'])
    monitor.record('a', ip);
  monitor.record('a', '2001:db8:1:3::');
  monitor.record('a', '64:ff9b::192.0.2.1');
  monitor.record('b', '192.0.2.1:80');
  assert.deepEqual(monitor.countsFor('2001:db8:1:2::'), { a: 3 });
  assert.deepEqual(monitor.countsFor(IP), { a: 1, b: 1 });
  assert.deepEqual(monitor.countsFor(OTHER), {});
});

test('counts are totals per event, of all clients or of one, and do not expire', () => {
  const monitor = fresh(RULE);
  assert.deepEqual(monitor.counts(), {});
  for (let i = 0; i < 5; i++) monitor.record('login-failed', IP);
  monitor.record('__proto__', IP);
  clock.advance('1d');
  monitor.record('probe', OTHER, '/');
  assert.deepEqual(Object.entries(monitor.counts()), [
    ['login-failed', 5],
    ['__proto__', 1],
    ['probe', 1],
  ]);
  assert.deepEqual(Object.entries(monitor.countsFor(IP)), [
    ['login-failed', 5],
    ['__proto__', 1],
  ]);
  assert.equal(monitor.record('probe', IP), undefined);
});

test('countsFor() has every event of a client, however many there are and by whichever object', () => {
  const name = freshName();
  const [monitor, reader] = [new SecurityMonitor(name, { rules: [] }), new SecurityMonitor(name)];
  assert.deepEqual(reader.countsFor(IP), {});
  // One call reads fifteen; a number as a name comes first in an object; `__proto__` is a name like any other.
  const events = ['404', '__proto__', ...Array.from({ length: 18 }, (_, n) => `event-${n}`)];
  const expected = {};
  for (const [index, event] of events.entries()) {
    for (let n = 0; n <= index; n++) monitor.record(event, IP, n % 2 === 0 ? undefined : 'detail');
    Object.defineProperty(expected, event, { value: index + 1, enumerable: true });
    for (const object of [monitor, reader, reader]) {
      assert.deepEqual(Object.entries(object.countsFor(IP)), Object.entries(expected));
    }
    assert.deepEqual(reader.countsFor('203.0.113.250'), {});
  }
});

test('a place of the history that is used again holds its last event alone', () => {
  const monitor = new SecurityMonitor(freshName(), { rules: [], history: 2 });
  const details = [
    'short',
    'ä'.repeat(100),
    undefined,
    '',
    'x'.repeat(62),
    'x'.repeat(63),
    'x'.repeat(64),
    'ab',
  ];
  for (const [index, detail] of details.entries()) {
    monitor.record(`event-${index % 3}`, IP, detail);
    const [{ event, detail: found }] = monitor.history();
    assert.deepEqual([event, found], [`event-${index % 3}`, detail]);
  }
});

test('top is sorted by number of events, then by address, and accepts limit', () => {
  const monitor = fresh();
  for (let client = 1; client <= 12; client++) {
    for (let i = 0; i < (client === 7 ? 5 : 1); i++) monitor.record(`event ${i}`, `192.0.2.${client}`);
  }
  monitor.record('event 1', '192.0.2.9');
  assert.deepEqual(monitor.top({ limit: 3 }), [
    { client: '192.0.2.7', count: 5 },
    { client: '192.0.2.9', count: 2 },
    { client: '192.0.2.1', count: 1 },
  ]);
  assert.equal(monitor.top().length, 10);
  assert.equal(monitor.top({ limit: 100 }).length, 12);
});

test('history is sorted newest first, bounded, and reports the number of forgotten entries', () => {
  const monitor = new SecurityMonitor(freshName(), { history: 100, rules: [] });
  assert.deepEqual([monitor.history().length, monitor.history().forgotten], [0, 0]);
  for (let i = 0; i < 250; i++) {
    monitor.record(i % 2 ? 'odd' : 'even', i % 5 ? IP : OTHER, `event ${i}`);
    clock.advance(1);
  }
  const history = monitor.history();
  assert.equal(history.length, 100);
  assert.equal(history.forgotten, 150);
  assert.deepEqual(history[0], {
    sequence: 249,
    event: 'odd',
    client: IP,
    detail: 'event 249',
    at: NOON + 249,
  });
  assert.deepEqual(
    history.map(({ sequence }) => sequence),
    Array.from({ length: 100 }, (_, i) => 249 - i),
  );
  const { historySize, historyForgotten } = monitor.stats();
  assert.deepEqual([historySize, historyForgotten], [100, 150]);

  const sequences = (options) => monitor.history(options).map(({ sequence }) => sequence);
  assert.deepEqual(sequences({ limit: 2 }), [249, 248]);
  assert.deepEqual(sequences({ ip: '::ffff:192.0.2.2', limit: 3 }), [245, 240, 235]);
  assert.deepEqual(
    sequences({ ip: OTHER, event: 'odd' }),
    [245, 235, 225, 215, 205, 195, 185, 175, 165, 155],
  );
  assert.deepEqual(sequences({ event: 'never seen' }), []);
  assert.equal(monitor.history({ limit: 1 }).forgotten, 150);
});

test('a long detail is truncated to 256 bytes of whole characters and marked with detailCut', async () => {
  const monitor = fresh({ ...RULE, count: 1, mute: 0 });
  const alerts = collectAlerts(monitor);
  const kept = [
    ['', ''],
    ['x'.repeat(256), 'x'.repeat(256)],
    ['x'.repeat(257), 'x'.repeat(256), true],
    ['y'.repeat(1_000_000), 'y'.repeat(256), true],
    ['ä'.repeat(128), 'ä'.repeat(128)],
    [`x${'ä'.repeat(500_000)}`, `x${'ä'.repeat(127)}`, true],
    ['€'.repeat(86), '€'.repeat(85), true],
    [`xxx${'😀'.repeat(64)}`, `xxx${'😀'.repeat(63)}`, true],
    ['lone \ud800', 'lone \ufffd'],
  ];
  for (const [given, detail, detailCut] of kept) {
    monitor.record('login-failed', IP, given);
    const [entry] = monitor.history({ limit: 1 });
    const expected = detailCut ? { detail, detailCut } : { detail };
    assert.deepEqual({ detail: entry.detail, ...(entry.detailCut && { detailCut: true }) }, expected);
    const [{ rule, event, client, count, at, ...rest }] = await alerts();
    assert.deepEqual(rest, expected, rule + event + client + count + at);
  }
});

test('alerts are delivered asynchronously, in order, also to the recording thread; once and off work', async () => {
  const monitor = fresh({ ...RULE, count: 1, mute: 0 });
  const storage = new AsyncLocalStorage();
  const onceCalls = [];
  const removed = () => onceCalls.push('removed');
  monitor.on('alert', removed).off('alert', removed);
  storage.run('context', () =>
    monitor.once('alert', ({ detail }) => onceCalls.push([detail, storage.getStore()])),
  );
  const alerts = collectAlerts(monitor);
  for (const detail of ['a', 'b', 'c']) monitor.record('login-failed', IP, detail);
  assert.deepEqual(onceCalls, []);
  assert.deepEqual(
    (await alerts()).map(({ detail }) => detail),
    ['a', 'b', 'c'],
  );
  assert.deepEqual(onceCalls, [['a', 'context']]);
  const invalid = { code: 'ERR_SLUICE_INVALID_OPTION' };
  assert.throws(() => monitor.on('alarm', () => {}), { ...invalid, message: /"alarm".*"alert"/ });
  assert.throws(() => monitor.on('alert'), { ...invalid, message: /listener is undefined/ });
});

test('beyond 1024 pending alerts the oldest are dropped, and the next reports how many in missed', async () => {
  const monitor = fresh({ ...RULE, count: 1, mute: 0 });
  const alerts = [];
  monitor.on('alert', (alert) => alerts.push(alert));
  for (let i = 0; i < 1500; i++) monitor.record('login-failed', IP, String(i));
  while (alerts.length < 1024) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual([alerts[0].detail, alerts[0].missed], [String(1500 - 1024), 1500 - 1024]);
  assert.deepEqual([alerts.length, alerts.at(-1).detail, alerts[1].missed], [1024, '1499', undefined]);
});

test('a rule with action ban raises an alert too; a ban without a reputation counts in bansFailed', async () => {
  const rules = [{ ...RULE, count: 2, action: 'ban' }];
  const monitor = new SecurityMonitor(freshName(), { rules, reputation: freshName() });
  const alerts = collectAlerts(monitor);
  for (let i = 0; i < 5; i++) monitor.record('login-failed', IP);
  assert.equal((await alerts()).length, 1);
  const { bans, bansFailed } = monitor.stats();
  assert.deepEqual([bans, bansFailed], [1, 1], 'no reputation has that name');
});

test('a rule with action ban bans the client in the reputation, with the name of the rule as reason', async () => {
  const reputation = new Reputation(freshName(), {
    maxFailures: 5,
    findTime: '10m',
    banTime: '1h',
    maxBanTime: '1d',
    allow: ['203.0.113.99'],
  });
  const rules = [{ ...RULE, name: 'guessing', count: 2, action: 'ban' }];
  const monitor = new SecurityMonitor(freshName(), { rules, reputation: reputation.name });
  for (const ip of [IP, '203.0.113.99']) {
    for (let i = 0; i < 2; i++) monitor.record('login-failed', ip);
  }
  const { banned, bans, reason, retryAfterMs } = reputation.check(IP);
  assert.deepEqual([banned, bans, reason, retryAfterMs], [true, 1, 'guessing', 3_600_000]);
  assert.equal(reputation.isBanned('203.0.113.99'), false, 'an allowed client is never banned automatically');
  assert.deepEqual([monitor.stats().bans, monitor.stats().bansFailed], [2, 1]);
});

test('setting the clock back does not extend mute', async () => {
  const monitor = fresh({ ...RULE, count: 1 });
  clock.advance('1d');
  monitor.record('login-failed', IP);
  clock.set(NOON);
  monitor.record('login-failed', IP);
  assert.equal(monitor.stats().alerts, 1);
  clock.advance('1m');
  monitor.record('login-failed', IP);
  assert.equal(monitor.stats().alerts, 2);
});

test('of a million clients a monitor keeps maxClients, including those close to an alert', () => {
  const maxClients = 5000;
  const monitor = new SecurityMonitor(freshName(), { rules: [{ ...RULE, count: 5 }], maxClients });
  const near = Array.from({ length: 50 }, (_, i) => `198.51.100.${i}`);
  for (const ip of near) for (let i = 0; i < 4; i++) monitor.record('login-failed', ip);
  const CLIENTS = 1_000_000;
  for (let i = 0; i < CLIENTS; i++) {
    monitor.record('login-failed', `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  }
  const { clients, evictions, alerts, recorded } = monitor.stats();
  assert.deepEqual(
    { clients, evictions, alerts, recorded },
    { clients: maxClients, evictions: CLIENTS + 50 - maxClients, alerts: 0, recorded: CLIENTS + 200 },
  );
  for (const ip of near) monitor.record('login-failed', ip);
  assert.equal(monitor.stats().alerts, 50, 'each was one event short');
  assert.deepEqual(monitor.counts(), { 'login-failed': CLIENTS + 250 });
});
