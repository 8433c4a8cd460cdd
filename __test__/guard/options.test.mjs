// createGuard: names, shared parts, options that must agree, and invalid ones.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import Fastify from 'fastify';
import sluice from '../../index.js';
import express from '../../lib/express.js';
import fastify from '../../lib/fastify.js';
import { freshNames } from '../helpers/setup.mjs';

const { createGuard, RateLimiter, Reputation, SecurityMonitor } = sluice;

const LIMIT = { limit: 5, window: '1m' };
const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const BANNING = { event: 'probe', count: 1, window: '1m', action: 'ban' };

const freshName = freshNames('guard-options');
const REQUEST = { headers: {}, socket: { remoteAddress: '192.0.2.1' }, url: '/' };

describe('guards with one name', () => {
  test('the default name is "default", the default limit 100 requests per minute', () => {
    const guard = createGuard();
    assert.deepEqual([guard.name, guard.limiter.peek('192.0.2.1').limit], ['default', 100]);
  });

  test('are one guard, with equal options, without options and in every framework', async () => {
    const name = freshName();
    const options = { rateLimit: LIMIT, connections: { max: 5 }, reputation: BANS, monitor: { rules: [] } };
    createGuard(name, options).check(REQUEST);
    createGuard(name, { ...options }).check(REQUEST);
    createGuard(name).check(REQUEST);
    express({ name }).guard.check(REQUEST);
    const app = Fastify();
    await app.register(createGuard(name).fastify);
    assert.equal((await app.inject('/')).headers['ratelimit-policy'], `"${name}";q=5;w=60`);
    const attached = createGuard(name);
    const { allowed, rateLimit } = attached.stats();
    assert.deepEqual([allowed, rateLimit.allowed], [5, 5]);
    const parts = [attached.tracker, attached.reputation, attached.monitor];
    assert.deepEqual(
      parts.map((part) => part.name),
      [name, name, name],
    );
    await app.close();
  });

  test('sluice/express and sluice/fastify take the same options', async () => {
    const options = {
      reputation: BANS,
      monitor: { rules: [] },
      record: { 404: { event: 'probe', weight: 1 } },
    };
    const [one, other] = [freshName(), freshName()];
    const app = Fastify();
    await app.register(fastify, { name: one, ...options });
    for (let i = 0; i < 3; i++) assert.equal((await app.inject('/')).statusCode, 404);
    assert.equal((await app.inject('/')).statusCode, 403);
    assert.deepEqual(app.sluice.monitor.counts(), { probe: 3 });
    assert.equal(express({ name: other, ...options }).guard.reputation.name, other);
    await app.close();
  });

  test('options that are left out keep the value of the guard', () => {
    const name = freshName();
    createGuard(name, { rateLimit: false, record: false, dryRun: true, reputation: BANS });
    const guard = createGuard(name, { reputation: BANS, cost: 2, headers: 'legacy' });
    assert.deepEqual([guard.limiter, guard.reputation.name], [null, name]);
    guard.reputation.ban('192.0.2.1', { duration: '1m' });
    assert.deepEqual([guard.check(REQUEST).allowed, guard.stats().dryRefused], [true, 1]);
  });

  for (const [option, created, given] of [
    ['rateLimit', LIMIT, false],
    ['rateLimit', false, LIMIT],
    ['limit', { rateLimit: LIMIT }, { rateLimit: { ...LIMIT, limit: 6 } }],
    ['connections', { max: 1 }, false],
    ['max', { connections: { max: 1 } }, { connections: { max: 2 } }],
    ['reputation', BANS, false],
    ['maxFailures', { reputation: BANS }, { reputation: { ...BANS, maxFailures: 4 } }],
    ['monitor', false, { rules: [] }],
    ['record', false, { 404: false }],
    ['record', { 404: 'probe' }, { 404: 'not-found' }],
    ['trustedProxies', [], ['10.0.0.0/8']],
    ['dryRun', false, true],
  ]) {
    const options = (value) => (option in Object(value) || option === 'limit' ? value : { [option]: value });
    const [before, after] = ['limit', 'max', 'maxFailures'].includes(option)
      ? [created, given]
      : [options(created), options(given)];
    test(`${JSON.stringify(after)} after ${JSON.stringify(before)} is a config mismatch, naming ${option}`, () => {
      const name = freshName();
      createGuard(name, before);
      assert.throws(() => createGuard(name, after), {
        code: 'ERR_SLUICE_CONFIG_MISMATCH',
        message: new RegExp(`\\b${option}\\b`),
      });
      assert.equal(createGuard(name, before).name, name, 'the guard is unchanged');
    });
  }

  test('proxies in another order and explicit defaults are equal options', () => {
    const name = freshName();
    createGuard(name, { trustedProxies: ['10.0.0.0/8', '192.0.2.0/24'] });
    createGuard(name, {
      rateLimit: { limit: 100, window: 60_000 },
      connections: false,
      record: { 429: { event: 'rate-limited' }, 401: 'unauthorized' },
      trustedProxies: ['192.0.2.0/24', '10.0.0.0/8'],
      dryRun: false,
    });
  });

  test('a limit that is a function must be given by every thread', () => {
    const name = freshName();
    const rateLimit = { limit: () => 3, window: '1m' };
    createGuard(name, { rateLimit });
    assert.throws(() => createGuard(name), { code: 'ERR_SLUICE_INVALID_OPTION', message: /function/ });
    assert.equal(createGuard(name, { rateLimit: { ...rateLimit } }).check(REQUEST).decision.limit, 3);
  });

  test('an invalid option creates no guard', () => {
    const name = freshName();
    assert.throws(() => createGuard(name, { reputation: { maxFailures: 0 } }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
    });
    assert.equal(createGuard(name, { reputation: false, connections: { max: 3 } }).reputation, null);
  });
});

describe('shared parts', () => {
  test('are given by name or as instances', () => {
    const reputation = new Reputation(freshName(), BANS);
    const monitor = new SecurityMonitor(freshName(), { rules: [] });
    const guards = [
      createGuard(freshName(), { reputation, monitor }),
      createGuard(freshName(), { reputation: reputation.name, monitor: monitor.name }),
    ];
    for (const guard of guards) guard.record(REQUEST, 'login-failed');
    assert.deepEqual(monitor.counts(), { 'login-failed': 2 });
    reputation.ban('192.0.2.1', { duration: '1m' });
    for (const guard of guards) assert.equal(guard.check(REQUEST).status, 403);
    assert.deepEqual(JSON.parse(guards[0].check(REQUEST).body)['violated-policies'], [reputation.name]);
  });

  test('a missing one is rejected with NOT_FOUND', () => {
    assert.throws(() => createGuard(freshName(), { reputation: freshName() }), {
      code: 'ERR_SLUICE_NOT_FOUND',
    });
    assert.throws(() => createGuard(freshName(), { monitor: freshName() }), { code: 'ERR_SLUICE_NOT_FOUND' });
  });

  test('rules with action ban use the reputation of the guard, or the one of the monitor', () => {
    const other = new Reputation(freshName(), BANS);
    const own = createGuard(freshName(), { reputation: BANS, monitor: { rules: [BANNING] } });
    const named = createGuard(freshName(), {
      reputation: BANS,
      monitor: { rules: [BANNING], reputation: other.name },
    });
    for (const guard of [own, named]) guard.record(REQUEST, 'probe', undefined, { weight: 0 });
    assert.equal(own.check(REQUEST).status, 403);
    assert.equal(named.check(REQUEST).status, undefined);
    assert.equal(other.isBanned('192.0.2.1'), true);
  });

  test('rules with action ban require a reputation', () => {
    assert.throws(() => createGuard(freshName(), { monitor: { rules: [BANNING] } }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: /reputation/,
    });
  });
});

describe('invalid options', () => {
  for (const [options, named] of [
    [{ rateLimits: {} }, 'rateLimits'],
    [{ name: 'twice' }, 'name'],
    [{ reputation: true }, 'reputation'],
    [{ reputation: { maxFailures: 3 } }, 'findTime'],
    [{ monitor: [] }, 'monitor'],
    [{ monitor: {} }, 'rules'],
    [{ connections: 'ten' }, 'connections'],
    [{ record: true }, 'record'],
    [{ record: { 99: 'early' } }, 'record status'],
    [{ record: { login: 'failed' } }, 'record status'],
    [{ record: { 404: '' } }, '404'],
    [{ record: { 404: { weight: 1 } } }, 'event'],
    [{ record: { 404: { event: 'probe', weight: -1 } } }, 'weight'],
    [{ record: { 404: { event: 'probe', wait: 1 } } }, 'wait'],
    [{ record: { 404: 7 } }, '404'],
    [null, 'options'],
    [[], 'options'],
  ]) {
    test(`${JSON.stringify(options)} is rejected, naming ${named}`, () => {
      assert.throws(() => createGuard(freshName(), options), {
        code: 'ERR_SLUICE_INVALID_OPTION',
        message: new RegExp(`\\b${named}\\b`),
      });
    });
  }

  for (const name of ['', 7, 'x'.repeat(129)]) {
    test(`the name ${JSON.stringify(name).slice(0, 20)} is rejected`, () => {
      assert.throws(() => createGuard(name), { code: 'ERR_SLUICE_INVALID_NAME' });
    });
  }

  test('attach accepts servers only', () => {
    for (const connections of [false, { max: 1 }]) {
      const guard = createGuard(freshName(), { connections });
      for (const server of [undefined, {}, 'server']) {
        assert.throws(() => guard.attach(server), { code: 'ERR_SLUICE_INVALID_OPTION' });
      }
    }
  });

  test('an existing limiter with other options is a config mismatch', () => {
    const name = freshName();
    new RateLimiter(name, LIMIT);
    assert.throws(() => createGuard(name), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
    assert.equal(createGuard(name, { rateLimit: LIMIT }).limiter.name, name);
  });
});
