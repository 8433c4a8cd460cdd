// config.sluice of a Fastify route: limiters of routes, their names, and routes that share one.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RateLimiter } from '../../index.js';
import sluice from '../../lib/fastify.js';
import { createFastify, createGuarded, injectAll, injectTimes, served } from '../helpers/fastify.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const ONCE = { limit: 1, window: '10s' };
const TWICE = { limit: 2, window: '10s' };

stopClock();
const freshName = freshNames('fastify-routes');

/** A Fastify behind a new guard, with the route `/`. */
const guarded = (t, options, fastifyOptions) =>
  createGuarded(t, { name: freshName(), ...options }, fastifyOptions);

describe('config.sluice', () => {
  const limited = (rateLimit, more) => ({ config: { sluice: { rateLimit, ...more } } });

  test('rateLimit gives the route its own limiter instead of the common one', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE });
    fastify.get('/users/:id', limited(TWICE), served);
    assert.deepEqual(await injectTimes(1, fastify, '/users/1'), [200]);
    const second = await fastify.inject('/users/2');
    assert.equal(second.headers['ratelimit-policy'], `"${fastify.sluice.name}:GET /users/:id";q=2;w=10`);
    assert.deepEqual(await injectTimes(1, fastify, '/users/3'), [429]);
    assert.deepEqual(await injectTimes(2, fastify, '/'), [200, 429]);
  });

  test('the limiter is named by guard, method and pattern', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE });
    fastify.register(async (api) => api.post('/users/:id', limited(TWICE), served), { prefix: '/api' });
    await fastify.inject({ method: 'POST', url: '/api/users/7' });
    const limiter = new RateLimiter(`${fastify.sluice.name}:POST /api/users/:id`);
    assert.equal(limiter.peek('127.0.0.1').remaining, 1);
  });

  test('the limiters do not depend on the order in which routes are declared', async (t) => {
    const name = freshName();
    const routes = { '/a': ONCE, '/b': TWICE };
    const withRoutes = (paths) => {
      const fastify = guarded(t, { name });
      for (const path of paths) fastify.get(path, limited(routes[path]), served);
      return fastify;
    };
    const [one, other] = [withRoutes(['/a', '/b']), withRoutes(['/b', '/a'])];
    assert.deepEqual(
      [...(await injectTimes(1, one, '/a')), ...(await injectTimes(1, other, '/a'))],
      [200, 429],
    );
    assert.deepEqual(
      [...(await injectTimes(2, one, '/b')), ...(await injectTimes(1, other, '/b'))],
      [200, 200, 429],
    );
  });

  test('a route declared before the plugin is loaded has its limiter too', async (t) => {
    const declare = (fastify) => fastify.get('/early', limited(TWICE), served);
    const fastify = guarded(t, { rateLimit: ONCE }, { declare });
    assert.deepEqual(await injectTimes(3, fastify, '/early'), [200, 200, 429]);
    assert.deepEqual(await injectTimes(1, fastify, '/'), [200]);
  });

  test('rateLimit: false disables the limit of the route', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE });
    fastify.get('/health', limited(false), served);
    assert.deepEqual(await injectTimes(3, fastify, '/health'), [200, 200, 200]);
    assert.equal((await fastify.inject('/health')).headers.ratelimit, undefined);
  });

  test('a route may have a limit when the server has none', async (t) => {
    const fastify = guarded(t, { rateLimit: false });
    fastify.get('/login', limited(ONCE), served);
    assert.deepEqual(await injectTimes(2, fastify, '/login'), [200, 429]);
    assert.deepEqual(await injectTimes(3, fastify, '/'), [200, 200, 200]);
  });

  test('without rateLimit the other options apply to the common limiter', async (t) => {
    const fastify = guarded(t, { rateLimit: { limit: 4, window: '8s' } });
    fastify.get('/report', { config: { sluice: { cost: 3 } } }, served);
    assert.deepEqual(await injectTimes(1, fastify, '/report'), [200]);
    assert.deepEqual(await injectTimes(2, fastify, '/'), [200, 429]);
  });

  test('key, cost, skip and handler override those of the guard', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE, key: (request) => request.headers['x-user'] });
    const handler = (_request, reply) => reply.send('later');
    const skip = (request) => request.headers['x-user'] === 'root';
    fastify.get('/mine', limited(TWICE, { cost: 2, skip, handler }), served);
    const asUser = (user) => ({ url: '/mine', headers: { 'x-user': user } });

    assert.deepEqual(await injectTimes(2, fastify, asUser('ada')), [200, 429]);
    assert.equal((await fastify.inject(asUser('ada'))).body, 'later');
    assert.deepEqual(await injectTimes(2, fastify, asUser('bob')), [200, 429]);
    assert.deepEqual(await injectTimes(3, fastify, asUser('root')), [200, 200, 200]);
  });

  test('the HEAD route that Fastify adds shares the limiter of GET', async (t) => {
    const fastify = guarded(t, {});
    fastify.get('/file', limited(TWICE), served);
    assert.deepEqual(await injectTimes(1, fastify, { method: 'HEAD', url: '/file' }), [200]);
    assert.deepEqual(await injectTimes(1, fastify, '/file'), [200]);
    const refused = await fastify.inject({ method: 'HEAD', url: '/file' });
    assert.deepEqual([refused.statusCode, refused.body], [429, '']);
    assert.deepEqual(Object.keys(fastify.sluice.stats().routes), [`${fastify.sluice.name}:GET /file`]);
  });

  test('a declared HEAD route shares the limiter of GET, in either order', async (t) => {
    const fastify = guarded(t, {});
    fastify.head('/file', limited(TWICE), served);
    fastify.get('/file', limited(TWICE), served);
    assert.deepEqual(await injectTimes(2, fastify, { method: 'HEAD', url: '/file' }), [200, 200]);
    assert.deepEqual(await injectTimes(1, fastify, '/file'), [429]);
  });

  test('each method of a route has its own limiter', async (t) => {
    const fastify = guarded(t, {});
    fastify.route({ method: ['GET', 'POST'], url: '/both', ...limited(ONCE), handler: served });
    assert.deepEqual(await injectTimes(2, fastify, { method: 'GET', url: '/both' }), [200, 429]);
    assert.deepEqual(await injectTimes(2, fastify, { method: 'POST', url: '/both' }), [200, 429]);
    assert.deepEqual(Object.keys(fastify.sluice.stats().routes), [
      `${fastify.sluice.name}:GET /both`,
      `${fastify.sluice.name}:POST /both`,
    ]);
  });

  test('a prefix with and without its slash is one route', async (t) => {
    const fastify = guarded(t, {});
    fastify.register(async (api) => api.get('/', limited(ONCE), served), { prefix: '/api' });
    assert.deepEqual(
      [...(await injectTimes(1, fastify, '/api')), ...(await injectTimes(1, fastify, '/api/'))],
      [200, 429],
    );
  });

  test('a pattern too long for a name has its own limiter too', async (t) => {
    const fastify = guarded(t, { rateLimit: ONCE });
    const [one, other] = ['a', 'b'].map((end) => `/${'long/'.repeat(40)}${end}`);
    for (const url of [one, other]) fastify.get(url, limited(TWICE), served);
    assert.deepEqual(await injectTimes(3, fastify, one), [200, 200, 429]);
    assert.deepEqual(await injectTimes(3, fastify, other), [200, 200, 429]);
  });

  for (const [options, named] of [
    [{ sluice: { rateLimit: 5 } }, 'rateLimit'],
    [{ sluice: { connections: { max: 1 } } }, 'connections'],
    [{ sluice: { cost: 'dear' } }, 'cost'],
  ]) {
    test(`${JSON.stringify(options)} is rejected, naming ${named}`, async (t) => {
      const fastify = guarded(t, {});
      await fastify.after();
      assert.throws(() => fastify.get('/bad', { config: options }, served), {
        code: 'ERR_SLUICE_INVALID_OPTION',
        message: new RegExp(`\\b${named}\\b`),
      });
    });
  }
});

describe('routes with one name', () => {
  const shared = (name, rateLimit = TWICE) => ({ config: { sluice: { name, rateLimit } } });

  test('share a limiter across methods, scopes and servers', async (t) => {
    const name = freshName();
    const one = createFastify(t);
    one.register(sluice, { name, rateLimit: ONCE });
    one.after(() => {
      one.get('/a', shared('search'), served);
      one.register(async (scope) => scope.post('/b', shared('search'), served), { prefix: '/inner' });
      one.get('/c', shared('other'), served);
    });
    const other = createFastify(t);
    other.register(sluice, { name, rateLimit: ONCE });
    other.after(() => other.get('/d', shared('search'), served));
    assert.deepEqual(await injectAll(one, '/a', { method: 'POST', url: '/inner/b' }, '/a'), [200, 200, 429]);
    assert.deepEqual(await injectAll(other, '/d', '/d'), [429, 429]);
    assert.deepEqual(await injectAll(one, '/c'), [200]);
    assert.deepEqual(Object.keys(one.sluice.stats().routes), [`${name}:search`, `${name}:other`]);
    assert.equal(new RateLimiter(`${name}:search`).peek('127.0.0.1').remaining, 0);
  });

  test('must all give the same rateLimit', async (t) => {
    const fastify = createFastify(t);
    fastify.register(sluice, { name: freshName() });
    await fastify.after();
    fastify.get('/a', shared('search'), served);
    assert.throws(() => fastify.get('/b', shared('search', ONCE), served), {
      code: 'ERR_SLUICE_CONFIG_MISMATCH',
    });
    for (const rateLimit of [undefined, false]) {
      assert.throws(
        () => fastify.get(`/${rateLimit}`, { config: { sluice: { name: 'search', rateLimit } } }, served),
        {
          code: 'ERR_SLUICE_INVALID_OPTION',
          message:
            /config\.sluice rateLimit is (undefined|false); accepted: the options of the limiter .*"search"/,
        },
      );
    }
    assert.throws(() => fastify.get('/d', shared(''), served), { code: 'ERR_SLUICE_INVALID_NAME' });
  });
});
