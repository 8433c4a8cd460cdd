// What is observed: exact totals over threads, clients in order, keys as they are shown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sluice from '../../index.js';
import { openStream } from '../helpers/dashboard.mjs';
import { ask, serve } from '../helpers/http.mjs';
import { runInAll, startPeers } from '../helpers/peer.mjs';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('observation');

/** A minute may turn while a test runs. */
const sumOf = (minutes) => minutes.reduce((sum, count) => sum + count, 0);

test('the history has each call of four threads once', async (t) => {
  const name = freshName();
  new sluice.RateLimiter(name, { limit: 500, window: '1h' });
  const port = await serve(t, sluice.dashboard());
  const peers = startPeers(t, 4);
  const consume = ({ load }, { limiter }) => {
    const one = new (load().RateLimiter)(limiter);
    for (let call = 0; call < 1_000; call++) one.tryConsume('client');
  };
  // The first total is where counting begins.
  const before = await openStream(t, port, '/events');
  await before.next('hello');
  await runInAll(peers, consume, { limiter: name });
  const stream = await openStream(t, port, '/events');
  const { history } = await stream.next('hello');
  const { rows } = history.limiters.find((one) => one.name === name);
  const sum = (kind) => rows.filter((_, place) => place % 3 === kind).reduce((all, count) => all + count, 0);
  assert.deepEqual([sum(0), sum(1), sum(2)], [500, 3_500, 0]);
  const { clients } = await stream.next('snapshot');
  const client = clients.find(({ source }) => source === name);
  const calls = sumOf(client.minutes);
  assert.ok(calls > 2_500 && calls < 6_000, `${calls} of 4000 calls, by samples`);
});

test('calls that wait, and those that are not let to, are seen', async (t) => {
  const name = freshName();
  const limiter = new sluice.RateLimiter(name, { limit: 1, window: '1h', burst: 1, maxWaiting: 1 });
  const port = await serve(t, sluice.dashboard());
  await limiter.acquire('client', { timeout: Infinity });
  limiter.acquire('client', { timeout: Infinity }).catch(() => {});
  await assert.rejects(limiter.acquire('client', { timeout: Infinity }), { code: 'ERR_SLUICE_BACKPRESSURE' });
  const { clients, offenders } = await (await openStream(t, port, '/events')).next('snapshot');
  const callsOf = (all) => sumOf(all.find(({ source }) => source === name).minutes);
  assert.deepEqual([callsOf(clients), callsOf(offenders)], [3, 1]);
  sluice.RateLimiter.destroy(name);
});

test('keys are shown shortened, addresses whole, or as showKey says', async (t) => {
  const name = freshName();
  const limiter = new sluice.RateLimiter(name, { limit: 1, window: '1h' });
  const keys = ['203.0.113.7', '2001:db8:1:2::', 'token-secret-a', 'token-secret-b', 'k', 'unknown'];
  const shownOf = async (options) => {
    const port = await serve(t, sluice.dashboard(options));
    for (const key of keys) for (let call = 0; call < 3; call++) limiter.tryConsume(key);
    const { offenders } = await (await openStream(t, port, '/events')).next('snapshot');
    return new Set(offenders.filter(({ source }) => source === name).map(({ client }) => client));
  };
  const shown = [...(await shownOf())];
  assert.ok(shown.includes('203.0.113.7') && shown.includes('2001:db8:1:2::') && shown.includes('unknown'));
  const tokens = shown.filter((client) => /^token-…[0-9a-f]{6}$/.test(client));
  assert.equal(tokens.length, 2, shown.join(' '));
  assert.ok(shown.every((client) => !client.includes('secret')));
  assert.ok((await shownOf({ showKey: (key) => key.toUpperCase() })).has('TOKEN-SECRET-A'));
  const thrown = await shownOf({
    showKey: () => {
      throw new Error('no');
    },
  });
  assert.ok(thrown.has('203.0.113.7'));
});

test('a long key, and one that is no text, are shown but cannot be acted on', async (t) => {
  const name = freshName();
  const limiter = new sluice.RateLimiter(name, { limit: 1, window: '1h' });
  const port = await serve(t, sluice.dashboard({ showKey: (key) => key }));
  for (const key of ['x'.repeat(1_000), '\ud800lone']) for (let i = 0; i < 2; i++) limiter.tryConsume(key);
  const { offenders } = await (await openStream(t, port, '/events')).next('snapshot');
  const own = offenders.filter(({ source }) => source === name);
  assert.equal(own.length, 2);
  assert.ok(own.every(({ id, client }) => id === undefined && client.length <= 256));
});

test('refusals for bans and connections name their clients', async (t) => {
  const guard = sluice.createGuard(freshName(), {
    rateLimit: { limit: 100, window: '1h' },
    connections: { maxPerClient: 1 },
    reputation: { maxFailures: 3, findTime: '1h', banTime: '1h', maxBanTime: '1d' },
  });
  const dashboard = guard.dashboard({ path: '/sluice' });
  const protect = guard.http();
  const port = await serve(t, (req, res) => dashboard(req, res, () => protect(req, res, () => res.end())));
  await ask(port, { from: '127.0.0.2' });
  guard.reputation.ban('127.0.0.3', { duration: '1h' });
  for (let i = 0; i < 3; i++) await ask(port, { from: '127.0.0.3' });
  const stream = await openStream(t, port, '/sluice/events');
  const { offenders } = await stream.until((one) => one.offenders.length > 0);
  assert.deepEqual(
    offenders.map(({ client, reason, source, minutes }) => [client, reason, source, sumOf(minutes)]),
    [['127.0.0.3', 'accept', guard.name, 3]],
  );
});

test('alerts are noted once, though several threads see them', async (t) => {
  const name = freshName();
  const monitor = new sluice.SecurityMonitor(name, {
    rules: [{ name: 'many', event: 'login-failed', count: 2, window: '1m', action: 'alert' }],
  });
  const peers = startPeers(t, 3);
  await runInAll(peers, ({ load }) => {
    load().dashboard();
  });
  const port = await serve(t, sluice.dashboard());
  const stream = await openStream(t, port, '/events');
  // Each thread looks for new instances once a second.
  const own = ({ notes }) => notes.filter(({ source }) => source === name);
  for (let attempt = 0; ; attempt++) {
    const client = `203.0.113.${attempt}`;
    monitor.record('login-failed', client, '<b>anna</b>');
    monitor.record('login-failed', client, '<b>anna</b>');
    const noted = own(await stream.next('snapshot'));
    if (noted.length === 0) continue;
    const { length } = new Set(noted.map(({ client: of }) => of));
    assert.equal(noted.length, new Set(noted.map(({ client: of }) => of)).size, `${length}`);
    assert.deepEqual([noted[0].type, noted[0].rule, noted[0].detail], ['alert', 'many', '<b>anna</b>']);
    break;
  }
});

test('a change is noted once, though a thread hears of it seconds later', async (t) => {
  const name = freshName();
  const breaker = new sluice.CircuitBreaker(name, { openFor: '1h' });
  const reputation = new sluice.Reputation(name, {
    maxFailures: 3,
    findTime: '1m',
    banTime: '1h',
    maxBanTime: '1h',
  });
  const peers = startPeers(t, 2);
  const heard = ({ load, state }, name) => {
    const { CircuitBreaker, dashboard, Reputation } = load();
    // Follows the instances that there are.
    dashboard();
    state.heard = 0;
    new CircuitBreaker(name, { openFor: '1h' }).on('open', () => state.heard++);
    new Reputation(name).on('ban', () => state.heard++);
  };
  await runInAll(peers, heard, name);
  const words = new Int32Array(new SharedArrayBuffer(8));
  const late = peers[0].run((_, words) => {
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
    Atomics.wait(words, 0, 0, 1500);
  }, words);
  await Atomics.waitAsync(words, 1, 0).value;
  breaker.isolate('db');
  breaker.reset('db');
  breaker.isolate('db');
  reputation.ban('192.0.2.1', { duration: '1h' });
  await late;
  for (const peer of peers) {
    while ((await peer.run(({ state }) => state.heard)) < 3);
  }
  const port = await serve(t, sluice.dashboard());
  const { notes } = await (await openStream(t, port, '/events')).next('snapshot');
  assert.deepEqual(
    notes.filter(({ source }) => source === name).map(({ type, state }) => [type, state]),
    [
      ['circuit', 'isolated'],
      ['circuit', 'closed'],
      ['circuit', 'isolated'],
      ['ban', undefined],
    ],
  );
});

test('an instance that is destroyed is shown no longer, and one made anew by the name is', async (t) => {
  const name = freshName();
  const options = { maxFailures: 3, findTime: '1m', banTime: '1h', maxBanTime: '1h' };
  const circuits = { openFor: '1h' };
  const monitoring = { rules: [] };
  const create = () => {
    new sluice.RateLimiter(name, { limit: 1, window: '1h' });
    new sluice.Reputation(name, options).ban('203.0.113.7', { duration: '1h' });
    new sluice.CircuitBreaker(name, circuits);
    new sluice.SecurityMonitor(name, monitoring);
    new sluice.ConnectionTracker(name, { max: 1 });
    new sluice.ClientHub(name);
    new sluice.Registry(name);
    new sluice.HitCounter(name, {});
    new sluice.Semaphore(name, { permits: 1 });
  };
  const CLASSES = ['RateLimiter', 'Reputation', 'CircuitBreaker', 'SecurityMonitor', 'ConnectionTracker'];
  const OTHERS = ['ClientHub', 'Registry', 'HitCounter', 'Semaphore'];
  const PLACES = [
    'limiters',
    'reputations',
    'breakers',
    'monitors',
    'trackers',
    'hubs',
    'registries',
    'counters',
    'semaphores',
  ];
  const shown = (snapshot) => PLACES.filter((place) => snapshot[place].some((one) => one.name === name));
  create();
  const port = await serve(t, sluice.dashboard());
  const stream = await openStream(t, port, '/events');
  assert.deepEqual(shown(await stream.next('snapshot')), PLACES);
  for (const kind of [...CLASSES, ...OTHERS]) assert.ok(sluice[kind].destroy(name), kind);
  await stream.until((snapshot) => shown(snapshot).length === 0);
  create();
  const again = await stream.until((snapshot) => shown(snapshot).length === PLACES.length);
  assert.equal(again.reputations.find((one) => one.name === name).bans.length, 1);
});

test('refusals by concurrency and overload are in the history and name their clients', async (t) => {
  const name = freshName();
  const port = await serve(t, sluice.dashboard());
  const guard = sluice.createGuard(name, {
    rateLimit: false,
    concurrency: { max: 1 },
    overload: { targetDelay: '5ms' },
  });
  // The first total is where counting begins.
  await (await openStream(t, port, '/events')).until(({ guards }) => guards.some((one) => one.name === name));
  let isPending;
  const pending = new Promise((resolve) => {
    isPending = resolve;
  });
  const guarded = await serve(
    t,
    guard.http()((_req, res) => isPending(res)),
  );
  const first = ask(guarded);
  // In a turn of its own: both in one that is interrupted would be late for the shedder.
  const held = await pending;
  assert.equal((await ask(guarded)).status, 503);
  held.end();
  await first;
  guard.shedder.admit('exempt');
  const blocked = performance.now();
  while (performance.now() - blocked < 50);
  const late = {
    url: '/',
    method: 'GET',
    headers: {},
    httpVersionMajor: 1,
    socket: { remoteAddress: '127.0.0.9' },
  };
  assert.equal(guard.check(late).refusal.reason, 'overload');
  const stream = await openStream(t, port, '/events');
  const { history } = await stream.next('hello');
  const { rows } = history.guards.find((one) => one.name === name);
  const sum = (kind) => rows.filter((_, place) => place % 10 === kind).reduce((all, count) => all + count, 0);
  assert.deepEqual([sum(8), sum(9)], [1, 1]);
  const own = ({ offenders }) => offenders.filter(({ source }) => source === name);
  const reasons = own(await stream.until((one) => own(one).length > 1)).map(({ reason }) => reason);
  assert.deepEqual(reasons.sort(), ['concurrency', 'overload']);
});

test('observing a load shedder that is asked nothing counts no laps and no threads', () => {
  const shedder = new sluice.LoadShedder(freshName(), {});
  for (let scrape = 0; scrape < 3; scrape++) sluice.metrics();
  const { laps, threads } = shedder.stats();
  assert.deepEqual([laps.count, threads], [0, 0]);
});
