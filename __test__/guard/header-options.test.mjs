// Which answers have headers about the quota: `headers: true`, `headers: 'refused'`, and `policyHeader`.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, test } from 'node:test';
import express from 'express';
import Fastify from 'fastify';
import { createGuard } from '../../index.js';
import sluiceExpress from '../../lib/express.js';
import sluiceFastify from '../../lib/fastify.js';
import { ask, keepAliveAgent, serve } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const clock = stopClock();
const freshName = freshNames('header-options');

const TWICE = { limit: 2, window: '10s' };
const ONCE_PER_CONNECTION = 'once-per-connection';

/** A client of one connection: `ask(path)` resolves with `{ status, policy, quota }`. */
const overHttp1 = (t, port) => {
  const agent = keepAliveAgent(t, { maxSockets: 1 });
  return async (path) => {
    const { status, headers } = await ask(port, { path, agent });
    return { status, policy: headers['ratelimit-policy'], quota: headers.ratelimit };
  };
};

const overHttp2 = (t, port) => {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  return async (path = '/') => {
    const stream = session.request({ ':path': path }).resume();
    const [[headers]] = await Promise.all([once(stream, 'response'), once(stream, 'close')]);
    return { status: headers[':status'], policy: headers['ratelimit-policy'], quota: headers.ratelimit };
  };
};

async function fastifyServer(t, options, { isHttp2 = false, limitOfRoute, guards = [] } = {}) {
  const fastify = Fastify({ http2: isHttp2, forceCloseConnections: true });
  t.after(() => fastify.close());
  fastify.register(sluiceFastify, options);
  fastify.register(scopeWithin(guards, limitOfRoute));
  await fastify.listen({ port: 0, host: '127.0.0.1' });
  return { port: fastify.server.address().port, guard: fastify.sluice };
}

/** Fastify takes one guard a scope. */
function scopeWithin([guard, ...others], limitOfRoute) {
  return async (scope) => {
    if (guard !== undefined) {
      scope.register(sluiceFastify, guard);
      scope.register(scopeWithin(others, limitOfRoute));
      return;
    }
    scope.get('/', async () => 'served');
    const config = { sluice: { name: 'own', rateLimit: limitOfRoute } };
    if (limitOfRoute !== undefined) scope.get('/own', { config }, async () => 'served');
  };
}

async function expressServer(t, options, { limitOfRoute, guards = [] } = {}) {
  const app = express();
  const middleware = sluiceExpress(options);
  app.use(middleware);
  for (const guard of guards) app.use(sluiceExpress(guard));
  app.get('/', (_req, res) => res.send('served'));
  if (limitOfRoute !== undefined) {
    const own = sluiceExpress({ ...options, name: `${options.name}:own`, rateLimit: limitOfRoute });
    app.get('/own', own, (_req, res) => res.send('served'));
  }
  return { port: await serve(t, app), guard: middleware.guard };
}

/** A server without a framework, which sends `decision.headers`. */
async function plainHttp2Server(t, { name, ...options }) {
  const guard = createGuard(name, options);
  const server = http2.createServer((req, res) => {
    const decision = guard.check(req, res);
    // Reading them again changes nothing.
    assert.deepEqual(decision.headers, decision.headers);
    const { 'Content-Length': _length, ...headers } = decision.headers;
    res.writeHead(decision.status ?? 200, headers).end();
  });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: server.address().port, guard };
}

const SERVERS = {
  'Express over HTTP/1.1': { start: expressServer, connect: overHttp1 },
  'Fastify over HTTP/1.1': { start: fastifyServer, connect: overHttp1 },
  'Fastify over HTTP/2': {
    start: (t, options, more) => fastifyServer(t, options, { ...more, isHttp2: true }),
    connect: overHttp2,
  },
};
const ALL_SERVERS = { ...SERVERS, 'plain http2': { start: plainHttp2Server, connect: overHttp2 } };

for (const [server, { start, connect }] of Object.entries(ALL_SERVERS)) {
  describe(server, () => {
    test('headers: true writes both on every answer', async (t) => {
      const name = freshName();
      const { port } = await start(t, { name, rateLimit: TWICE, headers: true });
      const request = connect(t, port);
      const policy = `"${name}";q=2;w=10`;
      assert.deepEqual(await request(), { status: 200, policy, quota: `"${name}";r=1;t=5` });
      assert.deepEqual(await request(), { status: 200, policy, quota: `"${name}";r=0;t=5` });
      assert.deepEqual(await request(), { status: 429, policy, quota: `"${name}";r=0;t=5` });
    });

    test("headers: 'refused' writes both on refusals only", async (t) => {
      const name = freshName();
      const { port } = await start(t, { name, rateLimit: TWICE, headers: 'refused' });
      const request = connect(t, port);
      const without = { status: 200, policy: undefined, quota: undefined };
      const refused = { status: 429, policy: `"${name}";q=2;w=10`, quota: `"${name}";r=0;t=5` };
      assert.deepEqual([await request(), await request()], [without, without]);
      assert.deepEqual([await request(), await request()], [refused, refused]);
      clock.advance(5_000);
      assert.deepEqual([await request(), await request()], [without, refused]);
    });

    test("headers: 'refused' writes nothing on what a dry run would refuse", async (t) => {
      const options = { name: freshName(), rateLimit: TWICE, headers: 'refused', dryRun: true };
      const { port, guard } = await start(t, options);
      const request = connect(t, port);
      for (let i = 0; i < 3; i++) {
        assert.deepEqual(await request(), { status: 200, policy: undefined, quota: undefined });
      }
      assert.equal(guard.stats().dryRefused, 1);
    });

    test("policyHeader: 'once-per-connection' writes RateLimit-Policy on each connection's first answer", async (t) => {
      const name = freshName();
      const { port } = await start(t, { name, rateLimit: TWICE, policyHeader: ONCE_PER_CONNECTION });
      const policy = `"${name}";q=2;w=10`;
      const first = connect(t, port);
      const second = connect(t, port);
      assert.deepEqual(await first(), { status: 200, policy, quota: `"${name}";r=1;t=5` });
      assert.deepEqual(await first(), { status: 200, policy: undefined, quota: `"${name}";r=0;t=5` });
      assert.deepEqual(await second(), { status: 429, policy, quota: `"${name}";r=0;t=5` });
      assert.deepEqual(await first(), { status: 429, policy: undefined, quota: `"${name}";r=0;t=5` });
    });

    test('RateLimit-Policy is written again once the limiter is reconfigured', async (t) => {
      const name = freshName();
      const { port, guard } = await start(t, { name, rateLimit: TWICE, policyHeader: ONCE_PER_CONNECTION });
      const request = connect(t, port);
      const policies = [(await request()).policy, (await request()).policy];
      guard.limiter.reconfigure({ limit: 20, window: '1m' });
      policies.push((await request()).policy, (await request()).policy);
      assert.deepEqual(policies, [`"${name}";q=2;w=10`, undefined, `"${name}";q=20;w=60`, undefined]);
    });

    test('several limits are one policy list, written once', async (t) => {
      const name = freshName();
      const limits = [TWICE, { limit: 100, window: '1h' }].map((limit, at) => ({
        name: `${name}-${at}`,
        ...limit,
      }));
      const { port } = await start(t, { name, rateLimit: { limits }, policyHeader: ONCE_PER_CONNECTION });
      const request = connect(t, port);
      const policy = `"${name}-0";q=2;w=10, "${name}-1";q=100;w=3600`;
      assert.deepEqual(await request(), { status: 200, policy, quota: `"${name}-0";r=1;t=5` });
      assert.deepEqual(await request(), { status: 200, policy: undefined, quota: `"${name}-0";r=0;t=5` });
      assert.deepEqual(await request(), { status: 429, policy: undefined, quota: `"${name}-0";r=0;t=5` });
    });

    test("with headers: 'refused', a connection's first refusal has RateLimit-Policy", async (t) => {
      const name = freshName();
      const options = { name, rateLimit: TWICE, headers: 'refused', policyHeader: ONCE_PER_CONNECTION };
      const { port } = await start(t, options);
      const request = connect(t, port);
      const policies = [];
      for (let i = 0; i < 4; i++) policies.push((await request()).policy);
      assert.deepEqual(policies, [undefined, undefined, `"${name}";q=2;w=10`, undefined]);
    });
  });
}

for (const [server, { start, connect }] of Object.entries(SERVERS)) {
  describe(`${server}: several limiters`, () => {
    test('each limiter shows its policy once', async (t) => {
      const name = freshName();
      const options = { name, rateLimit: { limit: 10, window: '10s' }, policyHeader: ONCE_PER_CONNECTION };
      const { port } = await start(t, options, { limitOfRoute: { limit: 3, window: '1m' } });
      const request = connect(t, port);
      const guards = `"${name}";q=10;w=10`;
      const own = `"${name}:own";q=3;w=60`;
      const seen = [];
      for (const path of ['/', '/own', '/', '/own']) seen.push((await request(path)).policy);
      assert.deepEqual(seen, [guards, own, undefined, undefined]);
    });

    test('two guards on one request: each writes by its own options', async (t) => {
      const [outer, inner, third] = [freshName(), freshName(), freshName()];
      const rateLimit = { limit: 10, window: '10s' };
      const guards = [
        { name: inner, rateLimit },
        { name: third, rateLimit: { limit: 2, window: '10s' }, headers: 'refused' },
      ];
      const { port } = await start(
        t,
        { name: outer, rateLimit, policyHeader: ONCE_PER_CONNECTION },
        { guards },
      );
      const request = connect(t, port);
      const policyOf = (name, limit = 10) => `"${name}";q=${limit};w=10`;
      assert.equal((await request('/')).policy, `${policyOf(outer)}, ${policyOf(inner)}`);
      assert.equal((await request('/')).policy, policyOf(inner));
      const refused = await request('/');
      assert.equal(refused.status, 429);
      assert.equal(refused.policy, `${policyOf(inner)}, ${policyOf(third, 2)}`);
      assert.equal(refused.quota, `"${outer}";r=7;t=1, "${inner}";r=7;t=1, "${third}";r=0;t=5`);
    });
  });
}

describe('Fastify', () => {
  test('each injected request has a connection of its own', async (t) => {
    const name = freshName();
    const fastify = Fastify();
    t.after(() => fastify.close());
    fastify.register(sluiceFastify, { name, rateLimit: TWICE, policyHeader: ONCE_PER_CONNECTION });
    for (let i = 0; i < 2; i++) {
      assert.equal((await fastify.inject('/')).headers['ratelimit-policy'], `"${name}";q=2;w=10`);
    }
  });

  test('a limit that is a function shows the policy whenever its limit differs from the one shown last', async (t) => {
    const name = freshName();
    const limit = ({ url }) => (url === '/' ? 10 : 20);
    const options = { name, rateLimit: { limit, window: '10s' }, policyHeader: ONCE_PER_CONNECTION };
    const { port } = await fastifyServer(t, options);
    const request = overHttp1(t, port);
    const seen = [];
    for (const path of ['/', '/', '/paid', '/paid', '/']) seen.push((await request(path)).policy);
    const [ten, twenty] = [10, 20].map((each) => `"${name}";q=${each};w=10`);
    assert.deepEqual(seen, [ten, undefined, twenty, undefined, ten]);
  });
});

test("cors exposes the headers of headers: 'refused'", async (t) => {
  const options = {
    name: freshName(),
    rateLimit: { limit: 1, window: '10s' },
    headers: 'refused',
    cors: true,
  };
  const { port } = await expressServer(t, options);
  await ask(port);
  const { status, headers } = await ask(port);
  assert.equal(status, 429);
  assert.equal(headers['access-control-expose-headers'], 'Retry-After, RateLimit, RateLimit-Policy');
});

describe('invalid values', () => {
  for (const [option, value, accepted] of [
    [
      'headers',
      'draft-7',
      /^sluice\/express headers is "draft-7"; accepted: true, "draft-8", "refused", "legacy", false$/,
    ],
    ['headers', 'never', /accepted: true, "draft-8", "refused", "legacy", false$/],
    [
      'policyHeader',
      true,
      /^sluice\/express policyHeader is true; accepted: "always", "once-per-connection"$/,
    ],
  ]) {
    test(`${option}: ${JSON.stringify(value)}`, () => {
      const create = () => sluiceExpress({ name: freshName(), [option]: value });
      assert.throws(create, { code: 'ERR_SLUICE_INVALID_OPTION', message: accepted });
    });
  }

  for (const headers of ['legacy', false]) {
    test(`policyHeader with headers: ${JSON.stringify(headers)}, which have no RateLimit-Policy`, () => {
      const create = () => createGuard(freshName(), { headers, policyHeader: ONCE_PER_CONNECTION });
      assert.throws(create, {
        code: 'ERR_SLUICE_INVALID_OPTION',
        message:
          /policyHeader is "once-per-connection"; accepted: .* together with headers "draft-8" or "refused"$/,
      });
      createGuard(freshName(), { headers, policyHeader: 'always' });
    });
  }
});
