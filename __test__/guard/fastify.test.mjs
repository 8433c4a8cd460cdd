// sluice/fastify. What it shares with Express is tested in the Express files and not repeated here.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { RateLimiter } from '../../index.js';
import sluice from '../../lib/fastify.js';
import { createGuarded, injectTimes, listenOn, served } from '../helpers/fastify.mjs';
import { ask, connectIdly, keepAliveAgent, read, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const ONCE = { limit: 1, window: '10s' };
const TWICE = { limit: 2, window: '10s' };

const clock = stopClock();
const freshName = freshNames('fastify');

/** A Fastify behind a new guard, with the route `/`. */
const guarded = (t, options, fastifyOptions) =>
  createGuarded(t, { name: freshName(), ...options }, fastifyOptions);

function throwing(error) {
  return () => {
    throw error;
  };
}

describe('the plugin', () => {
  test('refuses with 429, Retry-After and a problem document', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE });
    const port = await listenOn(fastify);
    const first = await ask(port);
    assert.equal(first.headers['ratelimit-policy'], `"${fastify.sluice.name}";q=1;w=10`);
    assert.equal(first.headers.ratelimit, `"${fastify.sluice.name}";r=0;t=10`);

    const refused = await ask(port);
    assert.equal(refused.status, 429);
    assert.equal(refused.headers['retry-after'], '10');
    assert.equal(refused.headers['content-type'], 'application/problem+json');
    assert.deepEqual(refused.json, {
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Quota Exceeded',
      status: 429,
      detail: 'The quota is used up. Try again in 10 s.',
      retryAfterMs: 10_000,
      'violated-policies': [fastify.sluice.name],
    });
    clock.advance(10_000);
    assert.equal((await ask(port)).status, 200);
  });

  test('limits each client to 100 requests per minute by default', async (t) => {
    const port = await listenOn(guarded(t, {}));
    assert.deepEqual(await statuses(101, port), [...Array(100).fill(200), 429]);
    assert.equal((await ask(port, { from: '127.0.0.2' })).status, 200);
  });

  test('limits requests without a route too', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE });
    assert.deepEqual(await injectTimes(2, fastify, '/nowhere'), [404, 429]);
  });

  test('limits routes of other plugins, registered before or after it', async (t) => {
    const plugin = async (instance) => instance.get('/', served);
    const declare = (instance) => instance.register(plugin, { prefix: '/before' });
    const fastify = guarded(t, { rateLimit: TWICE }, { declare });
    fastify.register(plugin, { prefix: '/after' });
    assert.deepEqual(await injectTimes(1, fastify, '/before'), [200]);
    assert.deepEqual(await injectTimes(2, fastify, '/after'), [200, 429]);
  });

  test('a refused upload leaves its connection usable', async (t) => {
    // A busy machine may stop this process for longer than the 2 s of the default.
    const fastify = guarded(t, { rateLimit: ONCE, refusedBody: { timeout: '1m' } });
    fastify.post('/', served);
    const port = await listenOn(fastify);
    const agent = keepAliveAgent(t, { maxSockets: 1 });
    await ask(port, { agent });

    const sockets = new Set();
    for (let i = 0; i < 3; i++) {
      const request = http.request({
        port,
        agent,
        method: 'POST',
        host: '127.0.0.1',
        localAddress: '127.0.0.1',
      });
      request.on('socket', (socket) => sockets.add(socket));
      request.end(Buffer.alloc(1_000_000));
      assert.equal((await read(request)).status, 429);
    }
    assert.equal(sockets.size, 1);
  });

  test('a refusal runs the response hooks, not the error handler', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE });
    const seen = [];
    fastify.setErrorHandler((error, _request, reply) => reply.code(500).send(error.message));
    fastify.addHook('onResponse', async (request) => seen.push(request.sluice.outcome));
    assert.deepEqual(await injectTimes(2, fastify, '/'), [200, 429]);
    assert.deepEqual(seen, ['allowed', 'refused']);
  });

  test('request.sluice is the decision', async (t) => {
    const fastify = guarded(t, { rateLimit: TWICE });
    fastify.get('/sluice', async (request) => request.sluice);
    const { outcome, decision, refusal } = (await fastify.inject('/sluice')).json();
    assert.deepEqual([outcome, decision.remaining, refusal], ['allowed', 1, null]);
  });

  test('dryRun refuses no request and counts dryRefused', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE, dryRun: true });
    assert.deepEqual(await injectTimes(3, fastify, '/'), [200, 200, 200]);
    assert.equal(fastify.sluice.stats().dryRefused, 2);
  });

  test('an internal error admits the request and is counted', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE });
    await fastify.ready();
    RateLimiter.destroy(fastify.sluice.name);
    assert.deepEqual(await injectTimes(2, fastify, '/'), [200, 200]);
    assert.equal(fastify.sluice.stats().faults, 2);
  });

  test('a guard in an inner scope decides after the outer one, and both add their headers', async (t) => {
    const fastify = guarded(t, { rateLimit: { limit: 3, window: '30s' } });
    const inner = freshName();
    fastify.register(async (scope) => {
      scope.register(sluice, { name: inner, rateLimit: ONCE });
      scope.get('/inner', served);
    });
    const { headers } = await fastify.inject('/inner');
    const outer = fastify.sluice.name;
    assert.equal(headers['ratelimit-policy'], `"${outer}";q=3;w=30, "${inner}";q=1;w=10`);
    assert.equal(headers.ratelimit, `"${outer}";r=2;t=10, "${inner}";r=0;t=10`);
    assert.deepEqual(await injectTimes(1, fastify, '/inner'), [429]);
    assert.deepEqual(await injectTimes(2, fastify, '/'), [200, 429]);
  });

  test('registering one name in two scopes is rejected', async (t) => {
    const fastify = guarded(t, { name: freshName() });
    fastify.register(async (scope) => scope.register(sluice, { name: scope.sluice.name }));
    await assert.rejects(fastify.ready(), { code: 'ERR_SLUICE_INVALID_OPTION', message: /name/ });
  });

  test('an invalid option fails ready()', async (t) => {
    const fastify = guarded(t, { rateLimits: {} });
    await assert.rejects(async () => fastify.ready(), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: /rateLimits/,
    });
  });
});

describe('functions of the application', () => {
  test('receive the Fastify request', async (t) => {
    const seen = [];
    const record = (answer) => (request) => {
      seen.push(request.routeOptions.url);
      return answer;
    };
    const fastify = guarded(t, { key: record('ada'), cost: record(1), skip: record(false) });
    await fastify.inject('/');
    assert.deepEqual(seen, ['/', '/', '/']);
  });

  test('may be async', async (t) => {
    const fastify = guarded(t, {
      rateLimit: TWICE,
      key: async (request) => request.headers['x-user'],
      cost: async () => 2,
      skip: async (request) => request.headers['x-user'] === 'root',
    });
    const as = (user) => ({ url: '/', headers: { 'x-user': user } });
    assert.deepEqual(await injectTimes(2, fastify, as('ada')), [200, 429]);
    assert.deepEqual(await injectTimes(2, fastify, as('bob')), [200, 429]);
    assert.deepEqual(await injectTimes(2, fastify, as('root')), [200, 200]);
  });

  const broken = Object.assign(new Error('the session store is down'), { statusCode: 502 });
  for (const option of ['key', 'cost', 'skip', 'handler']) {
    for (const [verb, fails] of [
      ['throws', throwing(broken)],
      ['rejects with', () => Promise.reject(broken)],
    ]) {
      test(`an error that ${option} ${verb} reaches the error handler unchanged`, async (t) => {
        const fastify = guarded(t, { rateLimit: { limit: 2, window: '10s' }, cost: 3, [option]: fails });
        let failed;
        fastify.setErrorHandler((error, _request, reply) => {
          failed = error;
          return reply.code(error.statusCode).send('failed');
        });
        assert.deepEqual(await injectTimes(1, fastify, '/'), [502]);
        assert.equal(failed, broken);
      });
    }
  }

  test('an error of handler gives 500 instead of 429', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE, handler: throwing(new Error('no template')) });
    assert.deepEqual(await injectTimes(2, fastify, '/'), [200, 500]);
  });

  test('rejecting with undefined is an error and admits nothing', async (t) => {
    const fastify = guarded(t, { key: () => Promise.reject() });
    assert.deepEqual(await injectTimes(1, fastify, '/'), [500]);
  });

  test('an invalid key or cost is an error of the application', async (t) => {
    for (const [option, value, code] of [
      ['key', {}, 'ERR_SLUICE_INVALID_KEY'],
      ['cost', -1, 'ERR_SLUICE_INVALID_COST'],
    ]) {
      const fastify = guarded(t, { [option]: () => value });
      const answer = await fastify.inject('/');
      assert.deepEqual([answer.statusCode, answer.json().code], [500, code]);
    }
  });

  for (const [how, handler] of [
    ['sends', (_request, reply, { reason }) => void reply.send({ reason })],
    ['sends and returns the reply', (_request, reply, { reason }) => reply.send({ reason })],
    ['returns what to send', (_request, _reply, { reason }) => ({ reason })],
    ['resolves to what to send', async (_request, _reply, { reason }) => ({ reason })],
  ]) {
    test(`a handler that ${how} gives the body of a refusal; status and headers are kept`, async (t) => {
      const fastify = guarded(t, { rateLimit: ONCE, handler });
      await fastify.inject('/');
      const refused = await fastify.inject('/');
      assert.equal(refused.statusCode, 429);
      assert.equal(refused.headers['retry-after'], '10');
      assert.deepEqual(refused.json(), { reason: 'quota' });
    });
  }
});

describe('the client', () => {
  test('is the first untrusted hop behind a trusted proxy', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE, trustedProxies: ['127.0.0.1/32'] });
    const from = (list) => ({ url: '/', headers: { 'x-forwarded-for': list } });
    assert.deepEqual(await injectTimes(2, fastify, from('203.0.113.1')), [200, 429]);
    assert.deepEqual(await injectTimes(1, fastify, from('spoofed, 203.0.113.1')), [429]);
    assert.deepEqual(await injectTimes(1, fastify, from('203.0.113.2')), [200]);
  });

  test('does not depend on the option trustProxy of Fastify', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE }, { trustProxy: true });
    const from = (list) => ({ url: '/', headers: { 'x-forwarded-for': list } });
    assert.deepEqual(await injectTimes(1, fastify, from('203.0.113.1')), [200]);
    assert.deepEqual(await injectTimes(1, fastify, from('203.0.113.2')), [429]);
  });
});

describe('connections', () => {
  test('are limited from accept, over the whole server', async (t) => {
    const fastify = guarded(t, { connections: { max: 2 } });
    const port = await listenOn(fastify);
    const agent = keepAliveAgent(t);
    const accepted = once(fastify.server, 'connection');
    await connectIdly(t, port);
    await accepted;
    assert.equal(fastify.sluice.tracker.count, 1);
    assert.equal((await ask(port, { agent })).status, 200);
    const refused = await ask(port);
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.connection, 'close');
    assert.equal(
      refused.json.type,
      'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
    );
    assert.equal(fastify.sluice.stats().connections.refused.max, 1);
  });

  test('injected requests count as none', async (t) => {
    const fastify = guarded(t, { connections: { max: 1 } });
    assert.deepEqual(await injectTimes(3, fastify, '/'), [200, 200, 200]);
    assert.equal(fastify.sluice.tracker.count, 0);
    assert.equal(fastify.sluice.stats().faults, 0);
  });
});

test('all threads share one quota, and one for each route', async (t) => {
  const workerData = {
    name: freshName(),
    rateLimit: { limit: 30, window: '10s' },
    routeLimit: { limit: 10, window: '10s' },
  };
  const workers = [0, 1, 2, 3].map(
    () => new Worker(new URL('../helpers/fastify-worker.mjs', import.meta.url), { workerData }),
  );
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  const ports = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));

  const servedOf = async (path) => {
    const answers = await Promise.all(ports.map((port) => statuses(20, port, { path })));
    return answers.flat().filter((status) => status === 200).length;
  };
  assert.equal(await servedOf('/'), 30);
  assert.equal(await servedOf('/route'), 10);
});
