// Lifecycle.health: liveness and readiness probes in each framework.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import express from 'express';
import Fastify from 'fastify';
import sluice from '../../index.js';
import { ask, keepAliveAgent } from '../helpers/http.mjs';
import { freshNames } from '../helpers/setup.mjs';
import { listening, until } from '../helpers/sockets.mjs';

const { Lifecycle, createGuard } = sluice;

const freshName = freshNames('lifecycle-health');

const APPLICATIONS = {
  'plain http': async (lifecycle) => {
    const health = lifecycle.health();
    const server = http.createServer((req, res) => health(req, res) || res.end('app'));
    lifecycle.attach(server);
    return server;
  },
  Express: async (lifecycle) => {
    const server = http.createServer(
      express()
        .use(lifecycle.health())
        .use((_req, res) => res.send('app')),
    );
    lifecycle.attach(server);
    return server;
  },
  Fastify: async (lifecycle) => {
    const app = Fastify();
    await app.register(createGuard(freshName(), { rateLimit: { limit: 1, window: '1h' } }).fastify);
    await app.register(lifecycle.fastify);
    app.get('/', { config: { sluice: { rateLimit: false } } }, async () => 'app');
    await app.ready();
    return app.server;
  },
};

for (const [framework, create] of Object.entries(APPLICATIONS)) {
  test(`${framework}: health probes report each state`, async (t) => {
    const lifecycle = new Lifecycle(freshName());
    const server = await create(lifecycle);
    const port = await listening(t, server);
    const agent = keepAliveAgent(t, { maxSockets: 3 });
    const probe = async (path, options) => {
      const { status, json, headers } = await ask(port, { path, agent, ...options });
      assert.match(headers['content-type'], /^application\/json/);
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['retry-after'], status === 200 ? undefined : '1');
      return [status, json?.state];
    };
    assert.deepEqual(await probe('/healthz'), [200, 'starting']);
    assert.deepEqual(await probe('/readyz'), [503, 'starting']);
    lifecycle.ready();
    assert.deepEqual(await probe('/readyz?verbose'), [200, 'running']);
    assert.deepEqual(await probe('/readyz', { method: 'HEAD' }), [200, undefined]);
    assert.equal((await ask(port, { agent })).text, 'app');
    const sockets = [keepAliveAgent(t), keepAliveAgent(t), keepAliveAgent(t)];
    for (const socket of sockets) await ask(port, { agent: socket });
    const down = lifecycle.shutdown();
    await until(() => server.listening, false);
    assert.deepEqual(
      await Promise.all([
        probe('/healthz', { agent: sockets[0] }),
        probe('/readyz', { agent: sockets[1] }),
        ask(port, { agent: sockets[2] }).then(({ status, json }) => [status, json.title]),
      ]),
      [
        [200, 'draining'],
        [503, 'draining'],
        [503, 'Temporary Reduced Capacity'],
      ],
    );
    assert.equal((await down).drained, true);
  });
}

test('livePath and readyPath set the paths of the probes; after the end both answer 503', async () => {
  const lifecycle = new Lifecycle(freshName());
  const health = lifecycle.health({ livePath: '/live', readyPath: '/ready' });
  const probe = (url, method = 'GET') => {
    const response = {};
    const res = { writeHead: (status) => Object.assign(response, { status }), end() {} };
    return health({ url, method }, res) ? response.status : null;
  };
  await lifecycle.shutdown();
  assert.deepEqual([probe('/live'), probe('/ready'), probe('/healthz')], [503, 503, null]);
  assert.equal(probe('/live', 'POST'), null);
  Lifecycle.destroy(lifecycle.name);
  assert.equal(probe('/live'), 503);
});
