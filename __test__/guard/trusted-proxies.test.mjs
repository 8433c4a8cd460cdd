// Guards behind trusted proxies: requests for which the proxy names no client, and upgrades of its clients.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { describe, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import sluice from '../../index.js';
import { FRAMEWORKS, serveGuarded } from '../helpers/guarded.mjs';
import { ask, statuses } from '../helpers/http.mjs';
import { startPeers } from '../helpers/peer.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { connect, listening, until } from '../helpers/sockets.mjs';

const { createGuard } = sluice;

const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const ONCE = { limit: 1, window: '1h' };
const CREDENTIALS = { authorization: 'Basic YWRhOng=' };
const PROXY = '127.0.0.1';
const UNTRUSTED = '127.0.0.9';
const TRUSTED = ['127.0.0.1', '10.0.0.0/8'];

const freshName = freshNames('trusted-proxies');
stopClock();

/** An incoming request without a server. */
const incoming = (headers, remoteAddress = PROXY) => ({ headers, socket: { remoteAddress }, url: '/' });

describe('a request from a trusted proxy without a client address', () => {
  for (const framework of FRAMEWORKS) {
    for (const [what, headers] of Object.entries({
      Forwarded: { forwarded: 'for=203.0.113.7' },
      'X-Real-IP': { 'x-real-ip': '203.0.113.7' },
      unknown: { 'x-forwarded-for': 'unknown' },
      'an empty last hop': { 'x-forwarded-for': '203.0.113.7, ' },
      'no header': {},
    })) {
      test(`${framework}, ${what}: failures ban no client`, async (t) => {
        const record = { 404: { event: 'probe', weight: 1 } };
        const guard = createGuard(freshName(), {
          reputation: BANS,
          monitor: { rules: [{ event: 'probe', count: 2, window: '1m', action: 'ban' }] },
          trustedProxies: TRUSTED,
          record,
        });
        const { port } = await serveGuarded(t, framework, guard);
        const failing = { headers: { ...headers, ...CREDENTIALS } };
        assert.deepEqual(await statuses(5, port, { path: '/401', ...failing }), Array(5).fill(401));
        assert.deepEqual(await statuses(5, port, { path: '/404', ...failing }), Array(5).fill(404));
        const other = { headers: { 'x-forwarded-for': '203.0.113.8' } };
        assert.equal((await ask(port, other)).status, 200);
        const { reputation, monitor, recorded } = guard.stats();
        assert.deepEqual([reputation.bans, reputation.failures, monitor.recorded, recorded], [0, 0, 0, 0]);
        const key = what === 'no header' ? PROXY : 'unknown';
        assert.equal(guard.limiter.peek(key).remaining, 90);
      });
    }
  }

  test('warns once per kind, with the headers that arrived', async (t) => {
    const guard = createGuard(freshName(), { trustedProxies: TRUSTED });
    // In another thread: this one has warned in earlier tests.
    const [peer] = startPeers(t, 1);
    const warnings = await peer.run(async ({ load }, name) => {
      const guard = load().createGuard(name);
      const warnings = [];
      process.on('warning', ({ code, message }) => warnings.push(`${code} ${message}`));
      const incoming = (headers) => ({ headers, socket: { remoteAddress: '127.0.0.1' }, url: '/' });
      for (let i = 0; i < 3; i++) guard.check(incoming({ forwarded: 'for=192.0.2.60' }));
      for (let i = 0; i < 3; i++) guard.check(incoming({}));
      await new Promise(setImmediate);
      return warnings;
    }, guard.name);
    assert.equal(warnings.length, 2);
    assert.match(
      warnings[0],
      /^SLUICE_UNREADABLE_CLIENT_ADDRESS .*127\.0\.0\.1 .*x-forwarded-for.* forwarded: "for=192\.0\.2\.60"/,
    );
    assert.match(warnings[1], /^SLUICE_MISSING_CLIENT_ADDRESS .*127\.0\.0\.1 /);
  });

  test('its key differs from every key that the function key returns', async () => {
    for (const returned of ['unknown', 'unknown\0', 'unknown\0\0']) {
      const guard = createGuard(freshName(), {
        rateLimit: ONCE,
        trustedProxies: TRUSTED,
        key: () => returned,
      });
      const plain = createGuard(guard.name, { rateLimit: ONCE, trustedProxies: TRUSTED });
      assert.equal(guard.check(incoming({})).allowed, true);
      assert.equal(guard.check(incoming({})).allowed, false);
      assert.equal(plain.check(incoming({ 'x-forwarded-for': 'unknown' })).allowed, true);
      assert.equal(plain.check(incoming({ 'x-forwarded-for': 'unknown' })).allowed, false);
    }
  });

  test('a trusted hop is never recorded or banned, not even explicitly', () => {
    const guard = createGuard(freshName(), {
      reputation: BANS,
      monitor: { rules: [] },
      trustedProxies: TRUSTED,
    });
    const req = incoming({ 'x-forwarded-for': '10.0.0.9' });
    for (let i = 0; i < 5; i++) guard.record(req, 'login-failed');
    guard.reputation.ban('10.0.0.0/8', { duration: '1m' });
    assert.equal(guard.check(req).allowed, true);
    assert.deepEqual([guard.stats().recorded, guard.clientOf(req).key], [0, '10.0.0.9']);
  });
});

describe('upgrades behind a proxy', () => {
  async function startServer(t, options) {
    const guard = createGuard(freshName(), { rateLimit: false, trustedProxies: TRUSTED, ...options });
    const server = http.createServer((_req, res) => res.end());
    const sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', async (req, socket, head) => {
      const decision = await guard.check(req);
      if (!decision.allowed)
        return socket.end(`HTTP/1.1 ${decision.status} Refused\r\nConnection: close\r\n\r\n`);
      sockets.handleUpgrade(req, socket, head, (ws) => ws.send('welcome'));
    });
    guard.attach(server);
    return { guard, port: await listening(t, server) };
  }

  /** Tries to open a WebSocket. The status is 101, or that of the refusal. */
  async function open(t, port, client, from = PROXY) {
    const headers = client === undefined ? {} : { 'x-forwarded-for': client };
    const ws = new WebSocket(`ws://127.0.0.1:${port}`, { headers, localAddress: from });
    t.after(() => ws.terminate());
    ws.on('error', () => {});
    const refused = once(ws, 'unexpected-response').then(([, { statusCode }]) => statusCode);
    return { ws, status: await Promise.race([once(ws, 'message').then(() => 101), refused]) };
  }

  test('count for their clients, and maxPerClient applies to each client', async (t) => {
    const { guard, port } = await startServer(t, { connections: { maxPerClient: 2 } });
    const opened = [];
    for (const client of ['203.0.113.1', '203.0.113.1', '203.0.113.1', '203.0.113.2', undefined]) {
      opened.push(await open(t, port, client));
    }
    assert.deepEqual(
      opened.map(({ status }) => status),
      [101, 101, 503, 101, 101],
    );
    await until(() => guard.tracker.count, 4);
    assert.deepEqual(
      ['203.0.113.1', '203.0.113.2', PROXY].map((client) => guard.tracker.countFor(client)),
      [2, 1, 0],
    );
    assert.equal(guard.tracker.list({ client: '203.0.113.1' }).length, 2);
    assert.deepEqual(guard.stats().refusedBy, { quota: 0, connections: 1, ban: 0 });
    assert.equal(guard.tracker.stats().refused.maxPerClient, 1);
    opened[0].ws.close();
    await until(() => guard.tracker.countFor('203.0.113.1'), 1);
    assert.equal((await open(t, port, '203.0.113.1')).status, 101);
  });

  test('a proxy connection without an upgrade is not counted for a client', async (t) => {
    const { guard, port } = await startServer(t, { connections: { maxPerClient: 1 } });
    for (let i = 0; i < 3; i++) {
      const socket = await connect(t, { port, host: '127.0.0.1' });
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n');
      await once(socket, 'data');
    }
    assert.deepEqual([guard.tracker.count, guard.tracker.countFor('203.0.113.1')], [3, 0]);
  });

  test('the upgrade of a direct client, counted at accept, is not counted again', async (t) => {
    const { guard, port } = await startServer(t, { connections: { maxPerClient: 1 } });
    assert.equal((await open(t, port, undefined, UNTRUSTED)).status, 101);
    assert.equal(guard.tracker.countFor(UNTRUSTED), 1);
  });

  test('opens and bans apply to each client', async (t) => {
    const { guard, port } = await startServer(t, {
      connections: { opens: { limit: 2, window: '1h' } },
      reputation: BANS,
    });
    const attempt = async (client) => (await open(t, port, client)).status;
    assert.deepEqual(
      [await attempt('203.0.113.1'), await attempt('203.0.113.1'), await attempt('203.0.113.1')],
      [101, 101, 503],
    );
    guard.reputation.ban('203.0.113.2', { duration: '1m' });
    assert.deepEqual([await attempt('203.0.113.2'), await attempt('203.0.113.3')], [403, 101]);
  });
});

test('without HTTP, a ban of the remote address applies at accept', async (t) => {
  const guard = createGuard(freshName(), { reputation: BANS, trustedProxies: TRUSTED });
  const server = net.createServer((socket) => socket.end('served'));
  guard.attach(server);
  const port = await listening(t, server);
  guard.reputation.ban(UNTRUSTED, { duration: '1m' });
  const refused = await connect(t, { port, host: '127.0.0.1', localAddress: UNTRUSTED });
  refused.resume();
  await refused.gone;
  assert.equal(guard.stats().refusedAtAccept, 1);
});

describe('names of ranges', () => {
  const guardBehind = (...trustedProxies) => createGuard(freshName(), { rateLimit: ONCE, trustedProxies });
  const named = (guard, remote) =>
    guard.clientOf(incoming({ 'x-forwarded-for': '198.51.100.9' }, remote)).address === '198.51.100.9';

  for (const [name, inside, outside] of [
    ['loopback', ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'], ['128.0.0.1', '::2', '10.0.0.1']],
    ['linklocal', ['169.254.0.1', 'fe80::1', 'febf::1'], ['169.253.0.1', 'fec0::1', '127.0.0.1']],
    [
      'uniquelocal',
      ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fd12::1'],
      ['172.32.0.1', '192.169.0.1', 'fe00::1', '11.0.0.1'],
    ],
  ]) {
    test(`${name} is what Express calls so`, () => {
      const guard = guardBehind(name);
      for (const remote of inside) assert.equal(named(guard, remote), true, remote);
      for (const remote of outside) assert.equal(named(guard, remote), false, remote);
    });
  }

  test('names stand beside ranges, and are trusted as hops', () => {
    const guard = guardBehind('loopback', '203.0.113.0/24', 'uniquelocal');
    for (const remote of ['127.0.0.1', '203.0.113.5', '10.1.1.1']) assert.ok(named(guard, remote));
    const headers = { 'x-forwarded-for': '198.51.100.9, 10.0.0.1, ::1, 192.168.0.9' };
    assert.equal(guard.clientOf(incoming(headers, '127.0.0.1')).address, '198.51.100.9');
  });

  test('an unknown name says which are known', () => {
    for (const name of ['cloudflare', 'Loopback', 'link-local']) {
      assert.throws(() => guardBehind('loopback', name), {
        code: 'ERR_SLUICE_INVALID_OPTION',
        message: `trustedProxies is "${name}"; accepted: "loopback", "linklocal", "uniquelocal", an address, or a range such as "10.0.0.0/8"`,
      });
    }
    assert.throws(() => guardBehind('10.0.0.0/33'), { code: 'ERR_SLUICE_INVALID_ADDRESS' });
  });
});
