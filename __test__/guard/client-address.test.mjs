// Which client a guard sees behind proxies: the header that is believed, and requests that name nobody.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import Fastify from 'fastify';
import { WebSocket, WebSocketServer } from 'ws';
import sluice from '../../index.js';
import express from '../../lib/express.js';
import { FRAMEWORKS, keepConnection, serveGuarded } from '../helpers/guarded.mjs';
import { ask, read, statuses } from '../helpers/http.mjs';
import { startPeers } from '../helpers/peer.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { connect, listening, until } from '../helpers/sockets.mjs';

const { createGuard } = sluice;

const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const ONCE = { limit: 1, window: '1h' };
const CREDENTIALS = { authorization: 'Basic YWRhOng=' };
const PROXY = '127.0.0.1';
const STRANGER = '127.0.0.9';
const TRUSTED = ['127.0.0.1', '10.0.0.0/8'];

const freshName = freshNames('client-address');
stopClock();

/** A request of Node's that no server saw. */
const incoming = (headers, remoteAddress = PROXY) => ({ headers, socket: { remoteAddress }, url: '/' });

describe('the header that is believed', () => {
  const client = (address, key = address) => ({ address, key });
  const UNKNOWN = client(null, 'unknown');

  for (const [clientAddress, header, expected] of [
    [undefined, '203.0.113.7', client('203.0.113.7')],
    [undefined, '6.6.6.6, 203.0.113.7, 10.0.0.2', client('203.0.113.7')],
    [undefined, '2001:db8:1:2:3:4:5:6', client('2001:db8:1:2:3:4:5:6', '2001:db8:1:2::')],
    [undefined, '10.0.0.3, 10.0.0.2', client('10.0.0.3')],
    [undefined, '203.0.113.7, unknown', UNKNOWN],
    [undefined, '203.0.113.7, ', UNKNOWN],
    [undefined, '', UNKNOWN],
    [undefined, '6.6.6.6, unknown, 10.0.0.2', UNKNOWN],
    ['X-Forwarded-For', '203.0.113.7', client('203.0.113.7')],
    ['forwarded', 'for=203.0.113.7;proto=https', client('203.0.113.7')],
    ['forwarded', 'for="[2001:db8::1]:443", for=10.0.0.2', client('2001:db8::1', '2001:db8::')],
    ['forwarded', 'for="6.6.6.6, for=203.0.113.7', client('203.0.113.7')],
    ['forwarded', 'for=203.0.113.7, for=unknown', UNKNOWN],
    ['forwarded', 'for=203.0.113.7, for=_hidden', UNKNOWN],
    ['forwarded', 'proto=https', UNKNOWN],
    ['x-real-ip', '203.0.113.7', client('203.0.113.7')],
    ['x-real-ip', '203.0.113.7, 203.0.113.8', UNKNOWN],
    ['x-real-ip', 'localhost', UNKNOWN],
    ['cf-connecting-ip', '::ffff:203.0.113.7', client('203.0.113.7')],
    ['x-real-ip', undefined, client(PROXY)],
  ]) {
    test(`${clientAddress ?? 'by default'}: ${header} is ${expected.key}`, () => {
      const guard = createGuard(freshName(), { trustedProxies: TRUSTED, clientAddress });
      const name = clientAddress?.toLowerCase() ?? 'x-forwarded-for';
      const req = incoming(header === undefined ? {} : { [name]: header });
      const decision = guard.check(req);
      assert.deepEqual(guard.clientOf(req), expected);
      assert.deepEqual(decision.client, expected);
      assert.equal(guard.limiter.peek(expected.key).remaining, 99);
    });
  }

  test('is not read where the remote address is not trusted, nor mixed with another', () => {
    const headers = { 'x-forwarded-for': '203.0.113.1', 'x-real-ip': '203.0.113.2' };
    const guard = createGuard(freshName(), { trustedProxies: TRUSTED, clientAddress: 'x-real-ip' });
    assert.equal(guard.clientOf(incoming(headers, STRANGER)).address, STRANGER);
    assert.equal(guard.clientOf(incoming(headers)).address, '203.0.113.2');
  });

  test('may arrive twice: a list of hops then, and unreadable where it must be single', async (t) => {
    for (const [clientAddress, name, key] of [
      ['x-forwarded-for', 'X-Forwarded-For', '203.0.113.2'],
      ['x-real-ip', 'X-Real-IP', 'unknown'],
    ]) {
      const guard = createGuard(freshName(), { trustedProxies: TRUSTED, clientAddress });
      const { port } = await serveGuarded(t, 'plain http', guard);
      await ask(port, { headers: { [name]: ['203.0.113.1', '203.0.113.2'] } });
      assert.equal(guard.limiter.peek(key).remaining, 99);
    }
  });
});

describe('a trusted proxy that names nobody', () => {
  for (const framework of FRAMEWORKS) {
    for (const [what, headers] of Object.entries({
      Forwarded: { forwarded: 'for=203.0.113.7' },
      'X-Real-IP': { 'x-real-ip': '203.0.113.7' },
      unknown: { 'x-forwarded-for': 'unknown' },
      'an empty last hop': { 'x-forwarded-for': '203.0.113.7, ' },
      'no header': {},
    })) {
      test(`${framework}, ${what}: nobody is banned, whoever fails`, async (t) => {
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

  test('is warned of once, with what arrived', async (t) => {
    const guard = createGuard(freshName(), { trustedProxies: TRUSTED });
    // Earlier tests have warned in this thread.
    const [peer] = startPeers(t, 1);
    const told = await peer.run(async ({ load }, name) => {
      const guard = load().createGuard(name);
      const warnings = [];
      process.on('warning', ({ code, message }) => warnings.push(`${code} ${message}`));
      const incoming = (headers) => ({ headers, socket: { remoteAddress: '127.0.0.1' }, url: '/' });
      for (let i = 0; i < 3; i++) guard.check(incoming({ forwarded: 'for=192.0.2.60' }));
      for (let i = 0; i < 3; i++) guard.check(incoming({}));
      await new Promise(setImmediate);
      return warnings;
    }, guard.name);
    assert.equal(told.length, 2);
    assert.match(
      told[0],
      /^SLUICE_UNREADABLE_CLIENT_ADDRESS .*127\.0\.0\.1 .*x-forwarded-for.* forwarded: "for=192\.0\.2\.60"/,
    );
    assert.match(told[1], /^SLUICE_MISSING_CLIENT_ADDRESS .*127\.0\.0\.1 /);
  });

  test('its own key is none that `key` returns', async () => {
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

  test('a hop that is trusted is never recorded nor banned, by hand neither', () => {
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

describe('clientAddress as a function', () => {
  test('names the client of every request: for the rate, bans and the monitor', async (t) => {
    const guard = createGuard(freshName(), {
      reputation: BANS,
      monitor: { rules: [] },
      clientAddress: (req) => req.headers['x-who'],
    });
    const { port } = await serveGuarded(t, 'plain http', guard);
    const agent = keepConnection(t);
    const by = (who, more) => ({ agent, path: '/401', headers: { 'x-who': who, ...CREDENTIALS }, ...more });
    assert.deepEqual(await statuses(4, port, by('203.0.113.5')), [401, 401, 401, 403]);
    assert.equal((await ask(port, by('203.0.113.5'))).headers.connection, 'keep-alive');
    assert.equal((await ask(port, by('203.0.113.6'))).status, 401);
    assert.deepEqual(guard.monitor.countsFor('203.0.113.6'), { unauthorized: 1 });
    assert.equal(guard.limiter.peek('203.0.113.6').remaining, 99);
  });

  test('is asked once for a request', () => {
    let asked = 0;
    const guard = createGuard(freshName(), {
      reputation: BANS,
      clientAddress: () => {
        asked += 1;
        return '203.0.113.5';
      },
    });
    const req = incoming({});
    guard.check(req);
    guard.record(req, 'login-failed');
    assert.deepEqual([guard.clientOf(req).address, asked], ['203.0.113.5', 1]);
  });

  for (const [what, clientAddress] of Object.entries({
    throws: () => {
      throw new Error('the user’s own');
    },
    'returns nothing': () => undefined,
    'returns no address': () => 'localhost',
    'returns a promise': async () => '203.0.113.5',
  })) {
    test(`one that ${what} makes the request unknown`, () => {
      const guard = createGuard(freshName(), { reputation: BANS, clientAddress });
      const req = incoming({}, '203.0.113.9');
      assert.equal(guard.check(req).allowed, true);
      for (let i = 0; i < 5; i++) guard.record(req, 'login-failed');
      assert.deepEqual(guard.clientOf(req), { address: null, key: 'unknown' });
      assert.equal(guard.limiter.peek('unknown').remaining, 99);
      assert.deepEqual([guard.stats().faults, guard.stats().reputation.failures], [0, 0]);
    });
  }

  test('its failure is warned of once', async (t) => {
    const guard = createGuard(freshName(), { rateLimit: ONCE, clientAddress: () => undefined });
    const [peer] = startPeers(t, 1);
    const told = await peer.run(async ({ load }, name) => {
      const rateLimit = { limit: 1, window: '1h' };
      const fails = () => {
        throw new Error('out of order');
      };
      const guard = load().createGuard(name, { rateLimit, clientAddress: fails });
      const warnings = [];
      process.on('warning', ({ message }) => warnings.push(message));
      for (let i = 0; i < 3; i++) guard.check({ headers: {}, socket: { remoteAddress: '192.0.2.1' } });
      await new Promise(setImmediate);
      return warnings;
    }, guard.name);
    assert.equal(told.length, 1);
    assert.match(
      told[0],
      /clientAddress.*out of order.*accepted: a function that returns an IPv4 or IPv6 address/,
    );
  });

  test('one that names a trusted proxy bans nobody', () => {
    const guard = createGuard(freshName(), {
      reputation: BANS,
      trustedProxies: TRUSTED,
      clientAddress: () => '10.0.0.1',
    });
    const req = incoming({}, STRANGER);
    for (let i = 0; i < 5; i++) guard.record(req, 'login-failed');
    assert.equal(guard.check(req).allowed, true);
  });

  test('serves requests over a Unix socket', async (t) => {
    const guard = createGuard(freshName(), {
      rateLimit: ONCE,
      clientAddress: (req) => req.headers['x-forwarded-for'],
    });
    const server = http.createServer((req, res) => {
      const { status = 200 } = guard.check(req);
      res.writeHead(status).end(guard.clientOf(req).key);
    });
    guard.attach(server);
    const socketPath = path.join(os.tmpdir(), `${freshName()}-${process.pid}.sock`);
    await listening(t, server, { path: socketPath });
    const answers = [];
    for (const client of ['203.0.113.1', '203.0.113.2', '203.0.113.1']) {
      const headers = { 'x-forwarded-for': client };
      const { status, text } = await read(http.get({ socketPath, agent: false, headers }));
      answers.push(`${status} ${text}`);
    }
    assert.deepEqual(answers, ['200 203.0.113.1', '200 203.0.113.2', '429 203.0.113.1']);
  });
});

describe('the option', () => {
  for (const [options, message] of [
    [
      { clientAddress: 'x-real-ip' },
      /clientAddress is "x-real-ip"; accepted: a header together with `trustedProxies`/,
    ],
    [{ clientAddress: 'x-forwarded-for', trustedProxies: [] }, /clientAddress/],
    [
      { clientAddress: 'x real ip', trustedProxies: TRUSTED },
      /clientAddress is "x real ip"; accepted: the name of a header/,
    ],
    [{ clientAddress: '', trustedProxies: TRUSTED }, /clientAddress/],
    [{ clientAddress: ['x-real-ip'], trustedProxies: TRUSTED }, /clientAddress is an array/],
  ]) {
    test(`${JSON.stringify(options)} is a mistake`, () => {
      assert.throws(() => createGuard(freshName(), options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
      assert.throws(() => express({ name: freshName(), ...options }), { code: 'ERR_SLUICE_INVALID_OPTION' });
    });
  }

  test('is the same in all threads, or a mismatch', () => {
    const name = freshName();
    createGuard(name, { trustedProxies: TRUSTED, clientAddress: 'X-Real-IP' });
    assert.equal(createGuard(name).clientOf(incoming({ 'x-real-ip': '203.0.113.1' })).address, '203.0.113.1');
    createGuard(name, { clientAddress: 'x-real-ip' });
    for (const clientAddress of ['forwarded', () => '203.0.113.1']) {
      assert.throws(() => createGuard(name, { clientAddress }), {
        code: 'ERR_SLUICE_CONFIG_MISMATCH',
        message: /clientAddress/,
      });
    }
  });

  test('as a function must be given by every thread', () => {
    const name = freshName();
    createGuard(name, { clientAddress: () => '203.0.113.1' });
    assert.throws(() => createGuard(name), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: /clientAddress is undefined; accepted: the function, which each thread must give/,
    });
    assert.equal(createGuard(name, { clientAddress: () => '203.0.113.2' }).name, name);
  });
});

describe('clientOf', () => {
  for (const framework of FRAMEWORKS) {
    test(`${framework}: is what the decision says, also of a refusal`, async (t) => {
      const guard = createGuard(freshName(), { rateLimit: ONCE, trustedProxies: TRUSTED });
      const seen = [];
      const check = guard.decide;
      guard.decide = (...given) => {
        const decision = check.apply(guard, given);
        seen.push(decision.client);
        return decision;
      };
      const { port } = await serveGuarded(t, framework, guard);
      const headers = { 'x-forwarded-for': '203.0.113.1' };
      assert.deepEqual(await statuses(2, port, { headers }), [200, 429]);
      assert.deepEqual(seen, Array(2).fill({ address: '203.0.113.1', key: '203.0.113.1' }));
    });
  }

  test('takes the requests of Fastify, and is at request.sluice', async () => {
    const app = Fastify();
    const guard = createGuard(freshName(), { trustedProxies: TRUSTED });
    await app.register(guard.fastify);
    app.get('/', async (request) => [app.sluice.clientOf(request), request.sluice.client]);
    const headers = { 'x-forwarded-for': '2001:db8::7' };
    const expected = { address: '2001:db8::7', key: '2001:db8::' };
    assert.deepEqual((await app.inject({ url: '/', headers })).json(), [expected, expected]);
    await app.close();
  });

  test('is there whatever the outcome', async () => {
    const guard = createGuard(freshName(), {
      rateLimit: ONCE,
      skip: ({ url }) => url === '/skipped',
      key: async () => 'ada',
    });
    const decide = (url) => guard.check({ ...incoming({}, '203.0.113.1'), url });
    const outcomes = [await decide('/'), await decide('/'), await decide('/skipped')];
    sluice.RateLimiter.destroy(guard.name);
    outcomes.push(await decide('/'));
    const off = createGuard(freshName(), { rateLimit: false });
    outcomes.push(off.check(incoming({}, '203.0.113.1')));
    assert.deepEqual(
      outcomes.map(({ outcome, client }) => [outcome, client.key]),
      ['allowed', 'refused', 'skipped', 'fault', 'allowed'].map((outcome) => [outcome, '203.0.113.1']),
    );
  });

  test('names whom recordSuccess and unban are for', () => {
    const guard = createGuard(freshName(), { reputation: BANS, trustedProxies: TRUSTED });
    const req = () => incoming({ 'x-forwarded-for': '203.0.113.1' });
    for (let i = 0; i < 2; i++) guard.record(req(), 'login-failed');
    guard.reputation.recordSuccess(guard.clientOf(req()).address);
    assert.equal(guard.reputation.check('203.0.113.1').failures, 0);
    guard.reputation.ban('203.0.113.1', { duration: '1m' });
    assert.equal(guard.check(req()).status, 403);
    assert.equal(guard.reputation.unban(guard.check(req()).client.address), true);
    assert.equal(guard.check(req()).allowed, true);
  });
});

describe('upgrades behind a proxy', () => {
  async function serving(t, options) {
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

  /** The status of an attempt to open a WebSocket: 101, or that of the refusal. */
  async function open(t, port, client, from = PROXY) {
    const headers = client === undefined ? {} : { 'x-forwarded-for': client };
    const ws = new WebSocket(`ws://127.0.0.1:${port}`, { headers, localAddress: from });
    t.after(() => ws.terminate());
    ws.on('error', () => {});
    const refused = once(ws, 'unexpected-response').then(([, { statusCode }]) => statusCode);
    return { ws, status: await Promise.race([once(ws, 'message').then(() => 101), refused]) };
  }

  test('are counted for their clients: maxPerClient holds for each', async (t) => {
    const { guard, port } = await serving(t, { connections: { maxPerClient: 2 } });
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

  test('a connection that carries others as well is not counted for one', async (t) => {
    const { guard, port } = await serving(t, { connections: { maxPerClient: 1 } });
    for (let i = 0; i < 3; i++) {
      const socket = await connect(t, { port, host: '127.0.0.1' });
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n');
      await once(socket, 'data');
    }
    assert.deepEqual([guard.tracker.count, guard.tracker.countFor('203.0.113.1')], [3, 0]);
  });

  test('a direct client was counted at accept, and is not counted again', async (t) => {
    const { guard, port } = await serving(t, { connections: { maxPerClient: 1 } });
    assert.equal((await open(t, port, undefined, STRANGER)).status, 101);
    assert.equal(guard.tracker.countFor(STRANGER), 1);
  });

  test('the rate of opening holds for each client too, and bans', async (t) => {
    const { guard, port } = await serving(t, {
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

test('raw sockets still have their opener at accept', async (t) => {
  const guard = createGuard(freshName(), { reputation: BANS, trustedProxies: TRUSTED });
  const server = net.createServer((socket) => socket.end('served'));
  guard.attach(server);
  const port = await listening(t, server);
  guard.reputation.ban(STRANGER, { duration: '1m' });
  const refused = await connect(t, { port, host: '127.0.0.1', localAddress: STRANGER });
  refused.resume();
  await refused.gone;
  assert.equal(guard.stats().refusedAtAccept, 1);
});
