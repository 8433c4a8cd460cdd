// Guards and both middlewares in workers of a cluster, which share one quota.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Cluster } from '../helpers/cluster.mjs';
import { ask } from '../helpers/http.mjs';
import { onLinux, sharedDirectory } from '../helpers/machine.mjs';
import { freshName } from '../helpers/peer.mjs';

const LIMIT = 9;

/** What each worker serves, by its name. They are sent as text. */
const SERVERS = {
  guard: async ({ load, require, state }, { name, options }) => {
    const http = require('node:http');
    const guard = load().createGuard(name, options);
    state.server = http.createServer(async (request, response) => {
      const { allowed, status, headers, body } = await guard.check(request);
      response.writeHead(allowed ? 200 : status, headers).end(allowed ? String(process.pid) : body);
    });
    state.guard = guard;
  },
  express: async ({ require, state }, { name, options }) => {
    const http = require('node:http');
    const app = require('express')();
    app.use(require('../../lib/express.js')({ name, ...options }));
    app.get('/', (_, response) => response.send(String(process.pid)));
    state.server = http.createServer(app);
  },
  fastify: async ({ require, state }, { name, options }) => {
    const app = require('fastify')();
    await app.register(require('../../lib/fastify.js'), { name, ...options });
    app.get('/', async () => String(process.pid));
    await app.ready();
    state.server = app.server;
  },
};

async function listen(worker) {
  return worker.run(
    ({ state }) =>
      new Promise((resolve) => {
        const options = { port: 0, host: '127.0.0.1', exclusive: true };
        state.server.listen(options, () => resolve(state.server.address().port));
      }),
  );
}

/** Each worker listens on a port of its own, so that requests are spread as the test wants. */
async function startWorkers(t, serve, data) {
  const cluster = new Cluster('none');
  t.after(() => cluster.end());
  const workers = await Promise.all([cluster.fork(), cluster.fork(), cluster.fork()]);
  for (const worker of workers) await worker.run(serve, data);
  return { workers, ports: await Promise.all(workers.map(listen)) };
}

for (const [what, serve] of Object.entries(SERVERS)) {
  test(`${what}: workers of a cluster admit the quota and not one request more`, onLinux, async (t) => {
    const options = {
      rateLimit: { limit: LIMIT, window: '30d', maxKeys: 1000 },
      scope: { shared: sharedDirectory(t) },
    };
    const { workers, ports } = await startWorkers(t, serve, { name: freshName(), options });
    const statuses = [];
    const remaining = [];
    for (let request = 0; request < LIMIT + 3; request++) {
      const { status, headers } = await ask(ports[request % 3]);
      statuses.push(status);
      remaining.push(/;r=(\d+)/.exec(headers.ratelimit)?.[1]);
    }
    assert.deepEqual(statuses, [...Array(LIMIT).fill(200), 429, 429, 429]);
    assert.deepEqual(remaining.slice(0, LIMIT), ['8', '7', '6', '5', '4', '3', '2', '1', '0']);

    workers[0].kill('SIGKILL');
    assert.equal(await workers[0].exited(), 'SIGKILL');
    const { status } = await ask(ports[1]);
    assert.equal(status, 429, 'what the killed worker used stays used');
  });
}

test('the scope of rateLimit alone, beside parts of the process', onLinux, async (t) => {
  const options = {
    rateLimit: { limit: 2, window: '30d', maxKeys: 1000, scope: { shared: sharedDirectory(t) } },
    connections: { max: 100 },
  };
  const { workers, ports } = await startWorkers(t, SERVERS.guard, { name: freshName(), options });
  const statuses = [];
  for (const port of ports) statuses.push((await ask(port)).status);
  assert.deepEqual(statuses, [200, 200, 429]);
  const counted = await Promise.all(
    workers.map((worker) => worker.run(({ state }) => state.guard.stats().allowed)),
  );
  assert.deepEqual(counted, [1, 1, 0], 'counts of a guard are those of its process');
});
