// onMismatch: 'reconfigure' of guards, for mounted middleware, other threads and routes of Fastify.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import test from 'node:test';
import express from 'express';
import fastify from 'fastify';
import sluice from '../../index.js';
import expressGuard from '../../lib/express.js';
import fastifyGuard from '../../lib/fastify.js';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { listening } from '../helpers/sockets.mjs';
import { bans, mismatch, reconfigure, warnings } from './mismatch.mjs';

const { createGuard } = sluice;

const fetchFrom = async (port, headers = {}) => {
  const [response] = await once(get({ port, host: '127.0.0.1', agent: false, headers }), 'response');
  response.resume();
  return response.statusCode;
};

test('createGuard: new options of its components, record and trustedProxies apply to mounted middleware', async (t) => {
  const newWarnings = warnings(t);
  const name = freshName();
  const options = { name, rateLimit: { limit: 1, window: '1h' }, reputation: bans };
  const app = express();
  const middleware = expressGuard(options);
  await newWarnings();
  app.use(middleware);
  app.use((req, res) => res.status(Number(req.headers.status ?? 200)).end());
  const port = await listening(t, createServer(app));
  assert.deepEqual([await fetchFrom(port), await fetchFrom(port)], [200, 429]);
  assert.throws(() => expressGuard({ ...options, rateLimit: { limit: 9, window: '1h' } }), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
  });

  const edited = {
    ...options,
    rateLimit: { limit: 9, window: '1h' },
    reputation: { ...bans, maxFailures: 1 },
    record: { 418: 'teapot' },
    trustedProxies: ['127.0.0.1'],
  };
  expressGuard({ ...edited, ...reconfigure });
  const messages = await newWarnings();
  assert.deepEqual(messages.map((message) => message.split(' ')[0]).sort(), [
    'RateLimiter',
    'Reputation',
    'guard',
  ]);
  assert.equal(await fetchFrom(port, { 'x-forwarded-for': '192.0.2.7', status: 418 }), 418);
  assert.deepEqual(
    [
      await fetchFrom(port, { 'x-forwarded-for': '192.0.2.7' }),
      await fetchFrom(port, { 'x-forwarded-for': '192.0.2.8' }),
    ],
    [403, 200],
  );
  expressGuard(edited);
  for (const [option, value] of [
    ['rateLimit', false],
    ['connections', {}],
    ['monitor', { rules: [] }],
    ['dryRun', true],
  ]) {
    assert.throws(() => expressGuard({ ...edited, [option]: value, ...reconfigure }), mismatch(option));
  }
});

test('createGuard: new options apply in other threads', { timeout: 20_000 }, async (t) => {
  const name = freshName();
  const options = { rateLimit: { limit: 5, window: '1h' }, reputation: bans };
  createGuard(name, options);
  const [peer] = startPeers(t, 1);
  const key = ({ state }) => {
    const socket = { remoteAddress: '127.0.0.1' };
    state.guard.check({ socket, headers: { 'x-forwarded-for': '192.0.2.9' } });
    return state.guard.limiter.peek('192.0.2.9').remaining;
  };
  await peer.run(
    ({ load, state }, [name, options]) => {
      state.guard = load().createGuard(name, options);
    },
    [name, options],
  );
  assert.equal(await peer.run(key), 5);
  createGuard(name, { ...options, trustedProxies: ['127.0.0.1'], ...reconfigure });
  for (let round = 0, remaining = 5; remaining === 5; round++) {
    assert.ok(round < 100, 'the other thread did not follow within 100 calls');
    remaining = await peer.run(key);
  }
});

test('routes of Fastify inherit onMismatch from their guard', async (t) => {
  const newWarnings = warnings(t);
  const name = freshName();
  const app = async (limit, more) => {
    const server = fastify();
    await server.register(fastifyGuard, { name, ...more });
    const config = { sluice: { rateLimit: { limit, window: '1h' } } };
    server.get('/', { config }, async () => 'ok');
    await server.ready();
    t.after(() => server.close());
    return server;
  };
  const first = await app(1);
  await newWarnings();
  await assert.rejects(app(2), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
  await app(2, reconfigure);
  assert.match((await newWarnings())[0], /^RateLimiter ".*:GET \/" was reconfigured: limit = 2 instead of 1/);
  const statuses = [];
  for (let round = 0; round < 3; round++) statuses.push((await first.inject('/')).statusCode);
  assert.deepEqual(statuses, [200, 200, 429]);
});
