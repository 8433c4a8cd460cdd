// The client of a request: trusted headers, the option clientAddress, and guard.clientOf.
import assert from 'node:assert/strict';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import Fastify from 'fastify';
import sluice from '../../index.js';
import express from '../../lib/express.js';
import { FRAMEWORKS, keepConnection, serveGuarded } from '../helpers/guarded.mjs';
import { ask, read, statuses } from '../helpers/http.mjs';
import { startPeers } from '../helpers/peer.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { listening } from '../helpers/sockets.mjs';

const { createGuard } = sluice;

const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const ONCE = { limit: 1, window: '1h' };
const CREDENTIALS = { authorization: 'Basic YWRhOng=' };
const PROXY = '127.0.0.1';
const UNTRUSTED = '127.0.0.9';
const TRUSTED = ['127.0.0.1', '10.0.0.0/8'];

const freshName = freshNames('client-address');
stopClock();

/** An incoming request without a server. */
const incoming = (headers, remoteAddress = PROXY) => ({ headers, socket: { remoteAddress }, url: '/' });

describe('the header with the client address', () => {
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

  test('is read only from trusted remote addresses, and no other header is', () => {
    const headers = { 'x-forwarded-for': '203.0.113.1', 'x-real-ip': '203.0.113.2' };
    const guard = createGuard(freshName(), { trustedProxies: TRUSTED, clientAddress: 'x-real-ip' });
    assert.equal(guard.clientOf(incoming(headers, UNTRUSTED)).address, UNTRUSTED);
    assert.equal(guard.clientOf(incoming(headers)).address, '203.0.113.2');
  });

  test('arriving twice is a list of hops, and unreadable for a header with a single address', async (t) => {
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

describe('clientAddress as a function', () => {
  test('determines the client of every request for rate limit, bans and monitor', async (t) => {
    const guard = createGuard(freshName(), {
      reputation: BANS,
      monitor: { rules: [] },
      clientAddress: (req) => req.headers['x-client'],
    });
    const { port } = await serveGuarded(t, 'plain http', guard);
    const agent = keepConnection(t);
    const by = (client, more) => ({
      agent,
      path: '/401',
      headers: { 'x-client': client, ...CREDENTIALS },
      ...more,
    });
    assert.deepEqual(await statuses(4, port, by('203.0.113.5')), [401, 401, 401, 403]);
    assert.equal((await ask(port, by('203.0.113.5'))).headers.connection, 'keep-alive');
    assert.equal((await ask(port, by('203.0.113.6'))).status, 401);
    assert.deepEqual(guard.monitor.countsFor('203.0.113.6'), { unauthorized: 1 });
    assert.equal(guard.limiter.peek('203.0.113.6').remaining, 99);
  });

  test('is called once per request', () => {
    let calls = 0;
    const guard = createGuard(freshName(), {
      reputation: BANS,
      clientAddress: () => {
        calls += 1;
        return '203.0.113.5';
      },
    });
    const req = incoming({});
    guard.check(req);
    guard.record(req, 'login-failed');
    assert.deepEqual([guard.clientOf(req).address, calls], ['203.0.113.5', 1]);
  });

  for (const [what, clientAddress] of Object.entries({
    throws: () => {
      throw new Error('thrown by clientAddress');
    },
    'returns nothing': () => undefined,
    'returns no address': () => 'localhost',
    'returns a promise': async () => '203.0.113.5',
  })) {
    test(`a function that ${what} makes the client unknown`, () => {
      const guard = createGuard(freshName(), { reputation: BANS, clientAddress });
      const req = incoming({}, '203.0.113.9');
      assert.equal(guard.check(req).allowed, true);
      for (let i = 0; i < 5; i++) guard.record(req, 'login-failed');
      assert.deepEqual(guard.clientOf(req), { address: null, key: 'unknown' });
      assert.equal(guard.limiter.peek('unknown').remaining, 99);
      assert.deepEqual([guard.stats().faults, guard.stats().reputation.failures], [0, 0]);
    });
  }

  test('a failure warns once', async (t) => {
    const guard = createGuard(freshName(), { rateLimit: ONCE, clientAddress: () => undefined });
    const [peer] = startPeers(t, 1);
    const warnings = await peer.run(async ({ load }, name) => {
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
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0],
      /clientAddress.*out of order.*accepted: a function that returns an IPv4 or IPv6 address/,
    );
  });

  test('a function that returns a trusted proxy bans no client', () => {
    const guard = createGuard(freshName(), {
      reputation: BANS,
      trustedProxies: TRUSTED,
      clientAddress: () => '10.0.0.1',
    });
    const req = incoming({}, UNTRUSTED);
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

describe('the option clientAddress', () => {
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
    test(`${JSON.stringify(options)} is rejected`, () => {
      assert.throws(() => createGuard(freshName(), options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
      assert.throws(() => express({ name: freshName(), ...options }), { code: 'ERR_SLUICE_INVALID_OPTION' });
    });
  }

  test('must be the same in all threads, else it is a config mismatch', () => {
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

  test('must be given by every thread if it is a function', () => {
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
    test(`${framework}: equals the client of the decision, also for refusals`, async (t) => {
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

  test('accepts Fastify requests, and equals request.sluice.client', async () => {
    const app = Fastify();
    const guard = createGuard(freshName(), { trustedProxies: TRUSTED });
    await app.register(guard.fastify);
    app.get('/', async (request) => [app.sluice.clientOf(request), request.sluice.client]);
    const headers = { 'x-forwarded-for': '2001:db8::7' };
    const expected = { address: '2001:db8::7', key: '2001:db8::' };
    assert.deepEqual((await app.inject({ url: '/', headers })).json(), [expected, expected]);
    await app.close();
  });

  test('is set for every outcome', async () => {
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

  test('gives the address for recordSuccess and unban', () => {
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
