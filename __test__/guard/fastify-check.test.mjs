// guard.check(request, reply) in a Fastify handler, and requests that Fastify answers without running any hook.
import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, test } from 'node:test';
import { createGuard } from '../../index.js';
import sluice from '../../lib/fastify.js';
import { createFastify, injectAll, listenOn, served } from '../helpers/fastify.mjs';
import { ask, read } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const ONCE = { limit: 1, window: '10s' };
const TWICE = { limit: 2, window: '10s' };
const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };

stopClock();
const freshName = freshNames('fastify-check');

const as = (user, url = '/') => ({ url, headers: user === undefined ? {} : { 'x-user': user } });

describe('check(request, reply)', () => {
  /** A handler that calls check and sends its decision. */
  const checking = (fastify) => async (request, reply) => {
    const answer = fastify.sluice.check(request, reply);
    assert.ok(answer instanceof Promise);
    const { allowed, status, body } = await answer;
    return allowed ? 'served' : reply.code(status).send(body);
  };

  test('resolves with the decision and sets the headers', async (t) => {
    const fastify = createFastify(t);
    const name = freshName();
    fastify.register(sluice, { name, rateLimit: TWICE });
    fastify.after(() => fastify.get('/', { config: { sluice: { rateLimit: false } } }, checking(fastify)));
    const first = await fastify.inject('/');
    assert.deepEqual([first.statusCode, first.headers.ratelimit], [200, `"${name}";r=1;t=5`]);
    await fastify.inject('/');
    const refused = await fastify.inject('/');
    assert.deepEqual([refused.statusCode, refused.headers['retry-after']], [429, '5']);
    assert.match(refused.headers['content-type'], /^application\/problem\+json/);
    assert.equal(refused.headers['cache-control'], 'no-store');
    assert.deepEqual(refused.json()['violated-policies'], [name]);
  });

  test('charges again, with limit and key of the route', async (t) => {
    const fastify = createFastify(t);
    fastify.register(sluice, { name: freshName() });
    const rule = { rateLimit: { limit: 4, window: '10s' }, key: ({ headers }) => headers['x-user'] };
    fastify.after(() => fastify.get('/', { config: { sluice: rule } }, checking(fastify)));
    assert.deepEqual(
      await injectAll(fastify, as('ada'), as('ada'), as('ada'), as('bob')),
      [200, 200, 429, 200],
    );
  });

  test('adds the policy once, and sets request.sluice to the latest decision', async (t) => {
    const fastify = createFastify(t);
    fastify.register(sluice, { name: freshName(), rateLimit: TWICE, reputation: BANS });
    fastify.after(() =>
      fastify.get('/', async (request, reply) => {
        const decision = await fastify.sluice.check(request, reply);
        assert.equal(request.sluice, decision);
        return reply.code(404).send('nothing');
      }),
    );
    const port = await listenOn(fastify);
    const { headers } = await ask(port, { headers: { authorization: 'x' } });
    assert.equal(headers.ratelimit, `"${fastify.sluice.name}";r=0;t=5`);
    assert.equal(fastify.sluice.stats().rateLimit.allowed, 2);
  });

  test('rejects with the error of a function of the application', async (t) => {
    const fastify = createFastify(t);
    const key = () => {
      throw new Error('the session store is down');
    };
    fastify.register(sluice, { name: freshName(), key });
    fastify.after(() => fastify.get('/', { config: { sluice: { rateLimit: false } } }, checking(fastify)));
    const { statusCode, message } = (await fastify.inject('/')).json();
    assert.deepEqual([statusCode, message], [500, 'the session store is down']);
  });

  test('works for a guard that is not registered as a plugin', async (t) => {
    const guard = createGuard(freshName(), { rateLimit: ONCE });
    const fastify = createFastify(t);
    fastify.get('/', async (request, reply) => {
      const { allowed, status, body } = await guard.check(request, reply);
      return allowed ? 'served' : reply.code(status).send(body);
    });
    assert.deepEqual(await injectAll(fastify, '/', '/'), [200, 429]);
  });
});

describe('requests that Fastify answers without running any hook', () => {
  const rawAsk = (port, path) => read(http.get({ port, path, host: '127.0.0.1', agent: false }));

  test('/%zz is charged and recorded, and still gets 400', async (t) => {
    const fastify = createFastify(t);
    const record = { 400: { event: 'bad-request', weight: 1 } };
    fastify.register(sluice, {
      name: freshName(),
      rateLimit: { limit: 5, window: '10s' },
      reputation: BANS,
      monitor: { rules: [] },
      record,
    });
    fastify.after(() => fastify.get('/', served));
    const port = await listenOn(fastify);
    assert.deepEqual([(await rawAsk(port, '/%zz')).status, (await rawAsk(port, '/')).status], [400, 200]);
    const guard = fastify.sluice;
    assert.equal(guard.limiter.peek('127.0.0.1').remaining, 3);
    assert.deepEqual(guard.monitor.counts(), { 'bad-request': 1 });
    await rawAsk(port, '/%zz');
    await rawAsk(port, '/%zz');
    assert.equal((await rawAsk(port, '/')).status, 403, 'three of them cause a ban');
    assert.equal(guard.stats().allowed, 4);
  });

  test('a parameter that is too long and answers of frameworkErrors are charged and recorded', async (t) => {
    const frameworkErrors = (_error, _request, reply) => void setImmediate(() => reply.code(418).send('no'));
    const fastify = createFastify(t, { frameworkErrors, routerOptions: { maxParamLength: 10 } });
    const plain = createFastify(t, { routerOptions: { maxParamLength: 10 } });
    for (const [one, path, status] of [
      [fastify, '/%zz', 418],
      [plain, `/${'x'.repeat(20)}`, 414],
    ]) {
      const record = { [status]: 'odd' };
      one.register(sluice, { name: freshName(), rateLimit: ONCE, monitor: { rules: [] }, record });
      one.after(() => one.get('/:id', served));
      const port = await listenOn(one);
      assert.equal((await rawAsk(port, path)).status, status);
      assert.deepEqual(one.sluice.monitor.counts(), { odd: 1 });
      assert.equal((await rawAsk(port, '/x')).status, 429);
    }
  });

  test('functions of the application are not called, since there is no Fastify request', async (t) => {
    const fastify = createFastify(t);
    const never = () => assert.fail('called');
    fastify.register(sluice, { name: freshName(), rateLimit: ONCE, key: never, cost: never, skip: never });
    const limited = createFastify(t);
    limited.register(sluice, { name: freshName(), rateLimit: { limit: never, window: '1s' } });
    for (const one of [fastify, limited]) {
      const port = await listenOn(one);
      assert.equal((await rawAsk(port, '/%zz')).status, 400);
      assert.deepEqual([one.sluice.stats().allowed, one.sluice.stats().faults], [1, 0]);
    }
  });

  test('requests that run hooks are counted once', async (t) => {
    const fastify = createFastify(t);
    fastify.register(sluice, { name: freshName() });
    fastify.after(() => {
      fastify.get('/', (_request, reply) => void reply.code(400).send('sync'));
      fastify.get('/percent/:id', served);
    });
    const port = await listenOn(fastify);
    for (const path of ['/', '/percent/%41', '/?q=%zz', '/nowhere']) await rawAsk(port, path);
    assert.equal(fastify.sluice.stats().allowed, 4);
  });
});
