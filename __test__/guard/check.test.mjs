// guard.check and guard.record, for applications that send refusals and record events themselves.
import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, test } from 'node:test';
import sluice from '../../index.js';
import { keepConnection } from '../helpers/guarded.mjs';
import { ask, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const { createGuard } = sluice;

const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };

/** Credentials, with which a 401 counts as a failed login. */
const CREDENTIALS = { authorization: 'Basic YWRhOng=' };

const freshName = freshNames('guard-check');
stopClock();

describe('check', () => {
  const incoming = (address = '127.0.0.1') => ({ headers: {}, socket: { remoteAddress: address }, url: '/' });

  test('returns the complete response synchronously', () => {
    const guard = createGuard(freshName(), { rateLimit: { limit: 1, window: '1m' } });
    const passed = guard.check(incoming());
    assert.deepEqual(
      [passed.allowed, passed.outcome, passed.status, passed.body],
      [true, 'allowed', undefined, undefined],
    );
    assert.deepEqual(passed.headers, {
      'RateLimit-Policy': `"${guard.name}";q=1;w=60`,
      RateLimit: `"${guard.name}";r=0;t=60`,
    });
    const refused = guard.check(incoming());
    assert.deepEqual([refused.allowed, refused.outcome, refused.status], [false, 'refused', 429]);
    assert.deepEqual(JSON.parse(refused.body), refused.refusal.problem);
    assert.equal(refused.headers['Retry-After'], '60');
    assert.equal(refused.headers['Content-Type'], 'application/problem+json');
  });

  test('returns a promise when a function of the application does', async () => {
    const guard = createGuard(freshName(), { key: async () => 'ada', rateLimit: { limit: 1, window: '1m' } });
    assert.equal((await guard.check(incoming())).allowed, true);
    assert.equal((await guard.check(incoming('127.0.0.9'))).status, 429);
  });

  test('with the response as second argument it records the answer of a server that is not attached', async (t) => {
    const guard = createGuard(freshName(), { reputation: { ...BANS, maxFailures: 1 } });
    const server = http.createServer((req, res) => {
      const { status = 401, headers, body } = guard.check(req, res);
      res.writeHead(status, headers).end(body);
    });
    t.after(() => server.close());
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const agent = keepConnection(t);
    const asked = { agent, headers: CREDENTIALS };
    assert.deepEqual(await statuses(2, server.address().port, asked), [401, 403]);
  });
});

for (const [how, answer] of [
  ['writeHead', (res) => res.writeHead(401)],
  ['write', (res) => res.write('n')],
  ['end', (res) => res.end()],
]) {
  test(`a ban applies as soon as ${how} starts the answer that causes it`, async (t) => {
    const guard = createGuard(freshName(), { reputation: { ...BANS, maxFailures: 1 } });
    const banned = [];
    const server = http.createServer((req, res) => {
      guard.check(req, res);
      banned.push(guard.reputation.isBanned('127.0.0.1'));
      res.statusCode = 401;
      answer(res);
      banned.push(guard.reputation.isBanned('127.0.0.1'));
      res.end();
    });
    t.after(() => server.close());
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    assert.equal((await ask(server.address().port, { headers: CREDENTIALS })).status, 401);
    assert.deepEqual(banned, [false, true]);
  });
}

describe('record', () => {
  const REQUEST = { headers: {}, socket: { remoteAddress: '192.0.2.7' }, url: '/login' };

  test('records an event of the application, as weight failures', () => {
    const guard = createGuard(freshName(), { reputation: BANS, monitor: { rules: [] } });
    guard.record(REQUEST, 'login-failed', 'ada');
    guard.record(REQUEST, 'captcha-shown', undefined, { weight: 0 });
    assert.equal(guard.reputation.check('192.0.2.7').failures, 1);
    guard.record(REQUEST, 'login-failed', 'bob', { weight: 2 });
    assert.equal(guard.check(REQUEST).status, 403);
    assert.deepEqual(guard.monitor.countsFor('192.0.2.7'), { 'login-failed': 2, 'captcha-shown': 1 });
    assert.deepEqual(guard.monitor.history({ limit: 1 })[0].detail, 'bob');
    assert.equal(guard.stats().recorded, 3);
  });

  test('the answer to a request with a recorded event is not recorded again', async (t) => {
    const guard = createGuard(freshName(), { reputation: BANS, monitor: { rules: [] } });
    const server = http.createServer((req, res) => {
      guard.check(req);
      guard.record(req, 'login-failed');
      res.writeHead(401).end();
    });
    guard.attach(server);
    t.after(() => server.close());
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    assert.equal((await ask(server.address().port)).status, 401);
    assert.deepEqual(guard.monitor.counts(), { 'login-failed': 1 });
    assert.equal(guard.stats().reputation.failures, 1);
  });

  test('two guards that share a reputation record an answer once', async (t) => {
    const shared = new sluice.Reputation(freshName(), BANS);
    const guards = [1, 2].map(() => createGuard(freshName(), { reputation: shared }));
    const server = http.createServer((req, res) => {
      for (const guard of guards) guard.check(req, res);
      res.writeHead(403).end();
    });
    t.after(() => server.close());
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    assert.equal((await ask(server.address().port, { headers: CREDENTIALS })).status, 403);
    assert.equal(shared.stats().failures, 1);
  });

  test('an invalid event, detail or weight is rejected', () => {
    const guard = createGuard(freshName(), { reputation: BANS, monitor: { rules: [] } });
    for (const [args, code] of [
      [[''], 'ERR_SLUICE_INVALID_VALUE'],
      [[7], 'ERR_SLUICE_INVALID_VALUE'],
      [['event', 7], 'ERR_SLUICE_INVALID_VALUE'],
      [['event', 'detail', { weight: -1 }], 'ERR_SLUICE_INVALID_OPTION'],
      [['event', 'detail', { wait: 1 }], 'ERR_SLUICE_INVALID_OPTION'],
    ]) {
      assert.throws(() => guard.record(REQUEST, ...args), { code });
    }
    assert.equal(guard.stats().recorded, 0);
  });

  test('a request without an address is not recorded', () => {
    const guard = createGuard(freshName(), { reputation: BANS, monitor: { rules: [] } });
    guard.record({ headers: {}, socket: { destroyed: true } }, 'login-failed');
    assert.deepEqual(guard.monitor.counts(), {});
  });
});
