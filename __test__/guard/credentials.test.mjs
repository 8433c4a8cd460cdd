// Which answers count as failures: those to requests with credentials, and those of login routes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { describe, test } from 'node:test';
import express5 from 'express';
import express4 from 'express4';
import Fastify from 'fastify';
import sluice from '../../index.js';
import express from '../../lib/express.js';
import fastify from '../../lib/fastify.js';
import { FRAMEWORKS, keepConnection, serveGuarded } from '../helpers/guarded.mjs';
import { ask, serve, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { listening } from '../helpers/sockets.mjs';

const { createGuard } = sluice;

const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const CREDENTIALS = { authorization: 'Bearer expired' };

const freshName = freshNames('guard-credentials');
stopClock();

for (const framework of FRAMEWORKS) {
  describe(framework, () => {
    async function guarded(t, options) {
      const guard = createGuard(freshName(), { reputation: BANS, rateLimit: false, ...options });
      return { guard, ...(await serveGuarded(t, framework, guard)) };
    }

    for (const status of [401, 403]) {
      test(`a client that polls without credentials is not banned for ${status}`, async (t) => {
        const monitor = { rules: [{ event: 'unauthorized', count: 3, window: '1m', action: 'ban' }] };
        const { guard, port } = await guarded(t, { monitor });
        const polling = { path: `/${status}`, headers: { cookie: 'session=expired', authorization: '' } };
        assert.deepEqual(await statuses(10, port, polling), Array(10).fill(status));
        assert.deepEqual([guard.stats().recorded, guard.stats().reputation.bans], [0, 0]);
      });

      test(`${status} is a failure when the request has an Authorization header`, async (t) => {
        const { port } = await guarded(t);
        const guessing = { agent: keepConnection(t), path: `/${status}`, headers: CREDENTIALS };
        assert.deepEqual(await statuses(4, port, guessing), [status, status, status, 403]);
      });
    }

    test('404 is recorded but is no failure', async (t) => {
      const { guard, port } = await guarded(t, { monitor: { rules: [] } });
      assert.deepEqual(await statuses(10, port, { path: '/404' }), Array(10).fill(404));
      assert.equal(guard.stats().reputation.failures, 0);
      assert.deepEqual(guard.monitor.counts(), { 'not-found': 10 });
    });

    test('with when: always the status is a failure without credentials', async (t) => {
      const record = { 401: { event: 'unauthorized', when: 'always' } };
      const { port } = await guarded(t, { record });
      const asked = { agent: keepConnection(t), path: '/401' };
      assert.deepEqual(await statuses(4, port, asked), [401, 401, 401, 403]);
    });

    test('with when: credentials any status is a failure only with credentials', async (t) => {
      const record = { 400: { event: 'malformed-token', weight: 3, when: 'credentials' }, 401: 'bad-login' };
      const { guard, port } = await guarded(t, { record });
      const agent = keepConnection(t);
      assert.deepEqual(await statuses(3, port, { agent, path: '/400' }), [400, 400, 400]);
      assert.deepEqual(await statuses(3, port, { agent, path: '/401' }), [401, 401, 401]);
      assert.deepEqual(await statuses(2, port, { agent, path: '/400', headers: CREDENTIALS }), [400, 403]);
      assert.equal(guard.reputation.check('127.0.0.1').reason, 'malformed-token');
    });

    test('with login: true every request of the guard counts as a login', async (t) => {
      const { port } = await guarded(t, { login: true });
      const asked = { agent: keepConnection(t), path: '/401' };
      assert.deepEqual(await statuses(4, port, asked), [401, 401, 401, 403]);
    });

    test('countOnly is independent of credentials', async (t) => {
      const rateLimit = { limit: 3, window: '1m', algorithm: 'fixed-window' };
      const { port } = await guarded(t, { rateLimit, countOnly: 'failures', reputation: false });
      assert.deepEqual(await statuses(5, port, { path: '/401' }), [401, 401, 401, 429, 429]);
    });
  });
}

/** A login route and a page behind one guard that bans. */
const SITES = {
  'Express 4': (t) => serveExpress(express4, t),
  'Express 5': (t) => serveExpress(express5, t),
  'Fastify 5': async (t) => {
    const app = Fastify();
    t.after(() => app.close());
    await app.register(fastify, { name: freshName(), reputation: BANS });
    const refuse = async (_request, reply) => reply.code(401).send('no');
    app.get('/page', refuse);
    app.post('/login', { config: { sluice: { login: true } } }, refuse);
    await app.listen({ port: 0, host: '127.0.0.1' });
    return { guard: app.sluice, port: app.server.address().port };
  },
};

async function serveExpress(framework, t) {
  const guard = createGuard(freshName(), { reputation: BANS });
  const login = express({ name: freshName(), login: true, reputation: guard.reputation });
  const refuse = (_req, res) => res.status(401).send('no');
  const app = framework();
  app.use(guard.express());
  app.get('/page', refuse);
  app.post('/login', login, refuse);
  return { guard, port: await serve(t, app) };
}

for (const [framework, start] of Object.entries(SITES)) {
  test(`${framework}: a 401 of the login route is a failure, one of the page is not`, async (t) => {
    const { guard, port } = await start(t);
    const agent = keepConnection(t);
    assert.deepEqual(await statuses(5, port, { agent, path: '/page' }), Array(5).fill(401));
    const guess = { agent, path: '/login', method: 'POST' };
    assert.deepEqual(await statuses(4, port, guess), [401, 401, 401, 403]);
    assert.equal(guard.reputation.check('127.0.0.1').bans, 1, 'each guess is recorded once');
    assert.equal(guard.stats().reputation.failures, 3);
    assert.equal((await ask(port, { path: '/page', from: '127.0.0.2' })).status, 401);
  });
}

test('the example in the README bans password guessing and scanning, not crawling and polling', async (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, example] = /## Bans\n\n(?:<!--[^\n]*\n)?```js\n(.*?)```/s.exec(readme);
  // This test listens by itself, on a free port.
  const modules = {
    'node:http': http,
    express: express5,
    sluice: { ...sluice, listen: () => {} },
    'sluice/express': express,
  };
  const run = new Function('require', `${example}; return { app, guard, server };`);
  const { app, guard, server } = run((name) => modules[name]);
  const refuse = (_req, res) => res.status(401).send('no');
  app.get('/page', refuse);
  const port = await listening(t, server);

  const [crawler, office, scanner, guesser] = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5'];
  for (let link = 0; link < 30; link++) {
    assert.equal((await ask(port, { path: `/old-${link}`, from: crawler })).status, 404);
    assert.equal((await ask(port, { path: '/page', from: office })).status, 401);
  }
  const scan = [];
  for (let path = 0; path < 101; path++) {
    scan.push((await ask(port, { path: `/admin-${path}`, from: scanner })).status);
  }
  assert.deepEqual([scan.filter((status) => status === 404).length, scan.at(-1)], [100, 403]);
  const guess = { path: '/login', method: 'POST', from: guesser };
  assert.deepEqual(await statuses(11, port, guess), [...Array(10).fill(401), 403]);
  const banned = [crawler, office, scanner, guesser].map((client) => guard.reputation.isBanned(client));
  assert.deepEqual(banned, [false, false, true, true]);
});

describe('invalid options', () => {
  for (const [options, message] of [
    [
      { record: { 401: { event: 'bad', when: 'never' } } },
      /record\[401\] when is "never"; accepted: "credentials", "always"/,
    ],
    [
      { record: { 401: { event: 'bad', if: 'always' } } },
      /has no option "if"; accepted: event, weight, when/,
    ],
    [{ login: 'yes' }, /login is "yes"; accepted: true or false/],
  ]) {
    test(`${JSON.stringify(options)} is rejected`, () => {
      assert.throws(() => createGuard(freshName(), options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
    });
  }

  test('record entries that differ in when are a config mismatch', () => {
    const name = freshName();
    createGuard(name, { record: { 401: 'unauthorized' } });
    createGuard(name, { record: { 401: { event: 'unauthorized', when: 'credentials' } } });
    assert.throws(() => createGuard(name, { record: { 401: { event: 'unauthorized', when: 'always' } } }), {
      code: 'ERR_SLUICE_CONFIG_MISMATCH',
      message: /record/,
    });
  });
});
