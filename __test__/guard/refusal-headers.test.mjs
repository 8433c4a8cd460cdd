// Which headers of the application a refusal keeps: none that describe its page, and none that allow caching.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test } from 'node:test';
import express5 from 'express';
import express4 from 'express4';
import Fastify from 'fastify';
import sluice from '../../index.js';
import { ask, keepAliveAgent, read, serve } from '../helpers/http.mjs';
import { freshNames } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const { createGuard } = sluice;

const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const ONCE = { limit: 1, window: '1h' };

const freshName = freshNames('refusal-headers');

const PAGE_FIELDS = {
  'Accept-Ranges': 'bytes',
  Age: '7',
  'Cache-Control': 'public, max-age=31536000',
  'CDN-Cache-Control': 'max-age=600',
  'Content-Disposition': 'attachment; filename="report.csv"',
  'Content-Encoding': 'gzip',
  'Content-Language': 'de',
  'Content-Range': 'bytes 0-9/10',
  ETag: '"v1"',
  Expires: 'Thu, 01 Jan 2099 00:00:00 GMT',
  'Last-Modified': 'Thu, 01 Jan 2015 00:00:00 GMT',
  'Surrogate-Control': 'max-age=600',
};
const KEPT_FIELDS = {
  'Access-Control-Allow-Origin': 'https://app.example',
  'Content-Security-Policy': "default-src 'self'",
  'Strict-Transport-Security': 'max-age=63072000',
  Vary: 'Accept-Encoding',
  'X-Request-Id': '42',
};
const LINK = '</style.css>; rel=preload; as=style, <https://example.com/terms, all>; rel="terms-of-service"';
const FIELDS = { ...PAGE_FIELDS, ...KEPT_FIELDS, Link: LINK };

/** Servers that set all fields before the guard decides. */
const SERVERS = {
  'plain http, check(req, res)': (t, guard) => servePlain(t, (req, res) => guard.check(req, res)),
  'plain http, check(req)': (t, guard) => servePlain(t, (req) => guard.check(req)),
  'Express 4': (t, guard) => serveExpress(t, guard, express4),
  'Express 5': (t, guard) => serveExpress(t, guard, express5),
  'Fastify 5': (t, guard) =>
    serveFastify(t, guard, (reply) => {
      reply.headers(FIELDS);
    }),
  'Fastify 5, fields on the raw response': (t, guard) => serveFastify(t, guard, (reply) => setAll(reply.raw)),
};

function setAll(response) {
  for (const [name, value] of Object.entries(FIELDS)) response.setHeader(name, value);
}

async function servePlain(t, check) {
  return serve(t, async (req, res) => {
    setAll(res);
    const decision = await check(req, res);
    if (!decision.allowed) return res.writeHead(decision.status, decision.headers).end(decision.body);
    res.end('page');
  });
}

async function serveExpress(t, guard, express) {
  const app = express();
  app.use((_req, res, next) => {
    setAll(res);
    next();
  });
  app.use(guard.express());
  app.use((_req, res) => res.end('page'));
  return serve(t, app);
}

async function serveFastify(t, guard, set) {
  const app = Fastify();
  t.after(() => app.close());
  app.addHook('onRequest', async (_request, reply) => set(reply));
  await app.register(guard.fastify);
  app.get('/', async () => 'page');
  await app.listen({ port: 0, host: '127.0.0.1' });
  return app.server.address().port;
}

for (const [kind, start] of Object.entries(SERVERS)) {
  describe(kind, () => {
    for (const [reason, status, refuse] of [
      ['quota', 429, () => {}],
      ['ban', 403, (guard) => guard.reputation.ban('127.0.0.1', { duration: '1m' })],
    ]) {
      test(`a refusal by ${reason} is not cacheable and has no field of the page`, async (t) => {
        const guard = createGuard(freshName(), { rateLimit: ONCE, reputation: BANS });
        const port = await start(t, guard);
        const agent = keepAliveAgent(t, { maxSockets: 1 });
        const served = await ask(port, { agent });
        assert.deepEqual(
          [served.status, served.headers.etag],
          [200, '"v1"'],
          'an admitted page keeps its fields',
        );
        refuse(guard);
        const refused = await ask(port, { agent });
        assert.equal(refused.status, status);
        assert.equal(refused.headers['cache-control'], 'no-store');
        for (const name of Object.keys(PAGE_FIELDS)) {
          if (name !== 'Cache-Control') assert.equal(refused.headers[name.toLowerCase()], undefined, name);
        }
        for (const [name, value] of Object.entries(KEPT_FIELDS)) {
          assert.equal(refused.headers[name.toLowerCase()], value, name);
        }
        assert.equal(refused.headers.link, '<https://example.com/terms, all>; rel="terms-of-service"');
        assert.equal(refused.headers['content-type'], 'application/problem+json');
        assert.equal(refused.json.status, status);
      });
    }
  });
}

test('handler starts without these fields and may set its own', async (t) => {
  const guard = createGuard(freshName(), {
    rateLimit: ONCE,
    handler: (_req, res) => res.set('Cache-Control', 'private').send('slow down'),
  });
  const port = await serveExpress(t, guard, express5);
  await ask(port);
  const { headers, text } = await ask(port);
  assert.deepEqual(
    [headers['cache-control'], headers['content-encoding'], text],
    ['private', undefined, 'slow down'],
  );
});

test('a refusal without an end has no Retry-After, even if the application set one', async (t) => {
  const guard = createGuard(freshName(), { rateLimit: ONCE, cost: 2 });
  const app = express5();
  app.use((_req, res, next) => next(res.setHeader('Retry-After', '9') && undefined));
  app.use(guard.express());
  const { status, headers } = await ask(await serve(t, app));
  assert.deepEqual([status, headers['retry-after']], [429, undefined]);
});

for (const [reason, options, prepare] of [
  ['a ban', { reputation: BANS }, (guard) => guard.reputation.ban('127.0.0.1', { duration: '1m' })],
  ['max', { connections: { max: 1 } }, (guard) => guard.tracker.tryOpen('192.0.2.1')],
]) {
  test(`a refusal by ${reason} at accept is not cacheable`, async (t) => {
    const guard = createGuard(freshName(), options);
    const server = http.createServer((_req, res) => res.end());
    guard.attach(server);
    t.after(() => server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    prepare(guard);
    const { headers } = await read(
      http.get({ port: server.address().port, host: '127.0.0.1', agent: false }),
    );
    assert.equal(headers['cache-control'], 'no-store');
  });
}

test('the 503 of a lifecycle that shuts down is not cacheable', async (t) => {
  const lifecycle = new sluice.Lifecycle(freshName()).ready();
  let finish;
  const server = http.createServer((req, res) => {
    if (req.url === '/slow') finish = () => res.end();
    else res.end();
  });
  lifecycle.attach(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const agent = keepAliveAgent(t, { maxSockets: 1 });
  await ask(port, { agent });
  const slow = ask(port, { path: '/slow' });
  await until(() => typeof finish, 'function');
  const report = lifecycle.shutdown({ timeout: '10s' });
  await until(() => lifecycle.state, 'draining');
  await until(() => server.listening, false);
  const { status, headers } = await ask(port, { agent });
  assert.deepEqual([status, headers['cache-control']], [503, 'no-store']);
  finish();
  await slow;
  await report;
});
