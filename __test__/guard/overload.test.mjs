// The guard's `overload` and `priority`, in Express, Fastify and by hand.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sluice from '../../index.js';
import expressGuard from '../../lib/express.js';
import fastifyGuard from '../../lib/fastify.js';
import { VERSIONS } from '../helpers/express.mjs';
import { createFastify, listenOn, served } from '../helpers/fastify.mjs';
import { ask, keepAliveAgent, serve } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const { LoadShedder, Lifecycle, createGuard, metrics } = sluice;

const clock = stopClock();
const freshName = freshNames('overload');

/** A request that plain servers, and guards by hand, take. */
const request = (url = '/') => ({ url, method: 'GET', headers: {}, httpVersionMajor: 1 });

const turn = () => new Promise(setImmediate);

/** From here to the end of this lap, this thread sheds everything but high and exempt requests. */
async function overload(guard) {
  for (let n = 0; n < 4; n++) {
    await turn();
    guard.shedder.admit('exempt');
    clock.advance(60);
  }
  assert.equal(guard.shedder.isBehind, true);
}

describe('by hand', () => {
  test('sheds by priority, with a problem and Retry-After from 1 to 5 s, and leaves the quota alone', async () => {
    const guard = createGuard(freshName(), {
      overload: true,
      priority: ({ url }) => url.slice(1),
      rateLimit: { limit: 100, window: '1h' },
    });
    const check = (priority) => guard.check(request(`/${priority}`));
    assert.equal(check('low').allowed, true);
    await overload(guard);
    const [high, normal, low, exempt] = ['high', 'normal', 'low', 'exempt'].map(check);
    assert.deepEqual(
      [high, normal, low, exempt].map(({ allowed }) => allowed),
      [true, false, false, true],
    );
    const { status, body, headers, refusal, decision } = normal;
    assert.deepEqual([status, refusal.reason, decision], [503, 'overload', null]);
    const problem = JSON.parse(body);
    assert.match(problem.type, /#temporary-reduced-capacity$/);
    assert.deepEqual(problem['violated-policies'], ['overload']);
    assert.equal(headers['Retry-After'], String(problem.retryAfterMs / 1000));
    assert.equal(headers.Connection, undefined);
    const waits = new Set(Array.from({ length: 200 }, () => check('low').headers['Retry-After']));
    assert.deepEqual([...waits].sort(), ['1', '2', '3', '4', '5']);
    const { refusedBy, refused, allowed, rateLimit, overload: counted } = guard.stats();
    assert.deepEqual(
      [refusedBy, refused, allowed],
      [{ quota: 0, connections: 0, ban: 0, overload: 202 }, 202, 3],
    );
    assert.deepEqual([rateLimit.allowed, counted.shed], [3, { high: 0, normal: 1, low: 201 }]);
  });

  test('decides after bans and connections, before the rate', async () => {
    const guard = createGuard(freshName(), {
      overload: true,
      reputation: { maxFailures: 1, findTime: '1h', banTime: '1h', maxBanTime: '1h' },
      rateLimit: { limit: 1, window: '1h' },
    });
    const from = (address) => ({ ...request(), socket: { remoteAddress: address } });
    guard.reputation.ban('192.0.2.1', { duration: '1h' });
    assert.equal(guard.check(from('192.0.2.2')).allowed, true);
    await overload(guard);
    assert.equal(guard.check(from('192.0.2.1')).refusal.reason, 'ban');
    // Its quota is used up as well.
    assert.equal(guard.check(from('192.0.2.2')).refusal.reason, 'overload');
    assert.deepEqual(guard.stats().overload.shed, { high: 0, normal: 1, low: 0 });
  });

  test('dryRun counts what it would shed', async () => {
    const guard = createGuard(freshName(), { overload: { targetDelay: '50ms' }, dryRun: true });
    await overload(guard);
    assert.equal(guard.check(request()).allowed, true);
    const { dryRefused, refusedBy, overload: counted } = guard.stats();
    assert.deepEqual([dryRefused, refusedBy.overload, counted.shed.normal], [1, 0, 1]);
  });

  test('a request is asked for once, however often it is checked', async () => {
    const guard = createGuard(freshName(), { overload: true });
    const twice = request();
    guard.check(twice);
    guard.check(twice);
    assert.equal(guard.stats().overload.admitted.normal, 1);
  });

  test('a destroyed shedder admits, and counts a fault', () => {
    const guard = createGuard(freshName(), { overload: true });
    LoadShedder.destroy(guard.name);
    assert.equal(guard.check(request()).allowed, true);
    assert.deepEqual([guard.stats().faults, guard.stats().overload], [1, null]);
  });

  test('what priority throws, and what is no priority, is thrown', () => {
    const thrown = new Error('no session');
    const throwing = createGuard(freshName(), {
      overload: true,
      priority: () => {
        throw thrown;
      },
    });
    assert.throws(() => throwing.check(request()), thrown);
    for (const answer of ['urgent', undefined, null, 1, Promise.resolve('high'), Promise.reject(thrown)]) {
      const guard = createGuard(freshName(), { overload: true, priority: () => answer });
      assert.throws(() => guard.check(request()), {
        code: 'ERR_SLUICE_INVALID_OPTION',
        message: /^what priority returned is .*; accepted: "high", "normal", "low", "exempt"$/,
      });
    }
  });

  test('without overload, priority is not asked for', () => {
    const guard = createGuard(freshName(), {
      priority: () => {
        throw new Error('asked');
      },
    });
    assert.equal(guard.check(request()).allowed, true);
    assert.deepEqual([guard.shedder, Object.hasOwn(guard.stats(), 'overload')], [null, false]);
  });

  test('metrics', async () => {
    const guard = createGuard(freshName(), { overload: true });
    await overload(guard);
    guard.check(request());
    const label = `guard="${guard.name}"`;
    for (const page of [guard.metrics(), metrics({ guards: [guard] })]) {
      assert.match(page, new RegExp(`sluice_overload_shed_total{${label},priority="normal"} 1\n`));
      assert.match(page, new RegExp(`sluice_overload_threads_behind{${label}} 1\n`));
      assert.match(page, new RegExp(`sluice_overload_lap_seconds_total{${label}} 0.18\n`));
      assert.match(page, new RegExp(`sluice_requests_refused_total{${label},reason="overload"} 1\n`));
    }
  });
});

describe('options', () => {
  for (const overload of [1, 'on', null, []]) {
    test(`overload ${JSON.stringify(overload)}`, () => {
      assert.throws(() => createGuard(freshName(), { overload }), {
        code: 'ERR_SLUICE_INVALID_OPTION',
        message: /overload is .*; accepted: an object of options, true, or false/,
      });
    });
  }

  test('priority, and what is inside of overload', () => {
    const invalid = { code: 'ERR_SLUICE_INVALID_OPTION' };
    for (const priority of ['urgent', 1, null]) {
      assert.throws(() => createGuard(freshName(), { priority }), invalid);
    }
    assert.throws(() => createGuard(freshName(), { overload: { targetDelay: '1ms' } }), invalid);
  });

  test('threads of a guard agree on it; without options it attaches', () => {
    const { name } = createGuard(freshName(), { overload: { targetDelay: '20ms' } });
    const mismatch = { code: 'ERR_SLUICE_CONFIG_MISMATCH' };
    assert.throws(() => createGuard(name, { overload: false }), {
      ...mismatch,
      message: /overload = options/,
    });
    assert.throws(() => createGuard(name, { overload: true }), {
      ...mismatch,
      message: /targetDelay = 20 ms/,
    });
    assert.equal(createGuard(name).shedder.name, name);
    const plain = createGuard(freshName(), {});
    assert.throws(() => createGuard(plain.name, { overload: true }), mismatch);
    assert.equal(createGuard(plain.name).shedder, null);
  });
});

for (const [version, express] of Object.entries(VERSIONS)) {
  test(`Express ${version}: priorities, answers, connections that stay open, probes that are not shed`, async (t) => {
    const name = freshName();
    const middleware = expressGuard({
      name,
      overload: true,
      priority: ({ headers }) => headers['x-priority'] ?? 'normal',
    });
    const app = express();
    app.use((_req, _res, next) => overload(middleware.guard).then(() => next(), next));
    app.use(middleware);
    app.use(new Lifecycle(name).health({ livePath: '/live', readyPath: '/ready' }));
    app.get('/', (_req, res) => res.send('served'));
    app.use((error, _req, res, _next) => res.status(500).send(error.code));
    const port = await serve(t, app);
    const agent = keepAliveAgent(t, { maxSockets: 1 });
    const get = (priority) => ask(port, { agent, headers: priority && { 'x-priority': priority } });

    const refused = await get();
    assert.equal(refused.status, 503);
    assert.equal(refused.headers['content-type'], 'application/problem+json');
    assert.match(refused.headers['retry-after'], /^[1-5]$/);
    assert.equal(refused.headers.connection, 'keep-alive');
    assert.equal((await get('exempt')).status, 200);
    assert.equal((await get('urgent')).text, 'ERR_SLUICE_INVALID_OPTION');
    assert.equal((await ask(port, { path: '/live?deep' })).status, 200);
    assert.equal((await ask(port, { path: '/live', method: 'POST' })).status, 503);
    assert.deepEqual(middleware.guard.stats().overload.shed, { high: 0, normal: 2, low: 0 });
  });
}

test('Fastify: the priority of a route, as text or function, and probes of a lifecycle', async (t) => {
  const name = freshName();
  const fastify = createFastify(t);
  fastify.addHook('onRequest', () => overload(fastify.sluice));
  fastify.register(fastifyGuard, { name, overload: true, priority: 'low' });
  fastify.register(new Lifecycle(name).fastify);
  const route = (priority) => ({ config: { sluice: { priority } } });
  fastify.after(() => {
    fastify.get('/', served);
    fastify.get('/login', route('exempt'), served);
    const byHeader = route(({ headers }) => headers['x-priority']);
    fastify.get('/by-header', byHeader, served);
  });
  const port = await listenOn(fastify);
  const status = async (path, headers) => (await ask(port, { path, headers })).status;
  assert.equal(await status('/'), 503);
  assert.equal(await status('/login'), 200);
  assert.equal(await status('/by-header', { 'x-priority': 'low' }), 503);
  assert.equal(await status('/by-header', { 'x-priority': 'exempt' }), 200);
  assert.equal(await status('/by-header', { 'x-priority': 'urgent' }), 500);
  assert.equal(await status('/healthz'), 200);
  assert.deepEqual(fastify.sluice.stats().overload.shed, { high: 0, normal: 0, low: 2 });
});

test('Fastify: shed in onRequest also where the rate is decided later; asked once where it is checked by hand', async (t) => {
  const fastify = createFastify(t);
  fastify.addHook('onRequest', async ({ url }) => {
    if (url === '/') await overload(fastify.sluice);
  });
  fastify.register(fastifyGuard, { name: freshName(), overload: true, hook: 'preHandler' });
  fastify.after(() => {
    fastify.get('/', served);
    fastify.get('/by-hand', async (request, reply) => {
      const { allowed } = await fastify.sluice.check(request, reply);
      return { allowed };
    });
  });
  await fastify.ready();
  assert.equal((await fastify.inject('/by-hand')).json().allowed, true);
  assert.equal(fastify.sluice.stats().overload.admitted.normal, 1);
  assert.equal((await fastify.inject('/')).statusCode, 503);
  assert.equal(fastify.sluice.stats().refusedBy.overload, 1);
});
