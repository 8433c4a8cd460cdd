// The option hook of sluice/fastify: in which hook the rate is decided, and what its functions can read there.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test } from 'node:test';
import { createGuard } from '../../index.js';
import sluice from '../../lib/fastify.js';
import { createFastify, injectAll, listenOn, served } from '../helpers/fastify.mjs';
import { ask, keepAliveAgent, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const ONCE = { limit: 1, window: '10s' };
const TWICE = { limit: 2, window: '10s' };
const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const LATER_HOOKS = ['preParsing', 'preValidation', 'preHandler'];

stopClock();
const freshName = freshNames('fastify-hooks');

const post = (body, url = '/') => ({ method: 'POST', url, payload: body });
/** Authentication as a preHandler: sets request.user, or answers 401. */
const authenticate = async (request, reply) => {
  request.user = request.headers['x-user'];
  if (request.user === undefined) reply.code(401).send('no user');
};
const as = (user, url = '/') => ({ url, headers: user === undefined ? {} : { 'x-user': user } });

describe('hook', () => {
  for (const hook of ['preValidation', 'preHandler']) {
    test(`${hook}: key can read the body`, async (t) => {
      const fastify = createFastify(t);
      fastify.register(sluice, { name: freshName(), rateLimit: ONCE, hook, key: ({ body }) => body.user });
      fastify.post('/', served);
      const [ada, bob] = [{ user: 'ada' }, { user: 'bob' }];
      assert.deepEqual(await injectAll(fastify, post(ada), post(ada), post(bob)), [200, 429, 200]);
      const refused = await fastify.inject(post(ada));
      assert.equal(refused.headers['retry-after'], '10');
      assert.deepEqual(refused.json()['violated-policies'], [fastify.sluice.name]);
    });
  }

  for (const [order, register] of [
    ['before the plugin', (fastify, plugin) => fastify.addHook('preHandler', authenticate) && plugin()],
    ['after the plugin', (fastify, plugin) => plugin() && fastify.addHook('preHandler', authenticate)],
  ]) {
    test(`preHandler: key can read the user, with authentication registered ${order}`, async (t) => {
      const fastify = createFastify(t);
      const options = {
        name: freshName(),
        rateLimit: ONCE,
        hook: 'preHandler',
        key: ({ user }) => user.length && user,
      };
      fastify.decorateRequest('user', null);
      register(fastify, () => fastify.register(sluice, options));
      fastify.register(async (scope) => scope.get('/', served));
      assert.deepEqual(await injectAll(fastify, as('ada'), as('ada'), as('bob'), as()), [200, 429, 200, 401]);
      assert.equal(fastify.sluice.stats().rateLimit.allowed, 2);
    });
  }

  test('the preHandler of a route runs before the rate is decided', async (t) => {
    const fastify = createFastify(t);
    fastify.register(sluice, {
      name: freshName(),
      rateLimit: ONCE,
      hook: 'preHandler',
      key: ({ user }) => user,
    });
    fastify.decorateRequest('user', null);
    fastify.after(() => fastify.get('/', { preHandler: [authenticate] }, served));
    assert.deepEqual(await injectAll(fastify, as('ada'), as('ada'), as('bob')), [200, 429, 200]);
  });

  for (const hook of LATER_HOOKS) {
    test(`${hook}: each request is charged once, for GET, HEAD and without a route`, async (t) => {
      const fastify = createFastify(t);
      fastify.register(sluice, { name: freshName(), rateLimit: { limit: 3, window: '10s' }, hook });
      fastify.after(() => fastify.get('/', served));
      const [get, head, none] = ['/', { method: 'HEAD', url: '/' }, '/nowhere'];
      assert.deepEqual(
        await injectAll(fastify, get, head, none, get, head, none),
        [200, 200, 404, 429, 429, 429],
      );
    });

    test(`${hook}: routes declared before the plugin are limited too`, async (t) => {
      const fastify = createFastify(t);
      fastify.get('/', served);
      fastify.get('/own', { config: { sluice: { rateLimit: ONCE, hook: 'preHandler' } } }, served);
      fastify.register(sluice, { name: freshName(), rateLimit: ONCE, hook });
      assert.deepEqual(await injectAll(fastify, '/', '/', '/own', '/own'), [200, 429, 200, 429]);
    });

    test(`${hook}: bans and connection limits are decided in onRequest`, async (t) => {
      const fastify = createFastify(t);
      const options = { name: freshName(), rateLimit: ONCE, reputation: BANS, connections: { max: 1 }, hook };
      fastify.register(sluice, options);
      const seen = [];
      fastify.after(() => {
        fastify.addHook('preParsing', async ({ url }) => void seen.push(url));
        fastify.get('/', served);
      });
      const port = await listenOn(fastify);
      const agent = keepAliveAgent(t, { maxSockets: 1 });
      assert.deepEqual(await statuses(1, port, { agent }), [200]);
      assert.equal((await ask(port)).status, 503);
      fastify.sluice.reputation.ban('127.0.0.1', { duration: '1m' });
      assert.deepEqual(await statuses(1, port, { agent }), [403]);
      assert.equal(seen.length, 1);
    });
  }

  test('a route may have another hook than the plugin', async (t) => {
    const fastify = createFastify(t);
    fastify.register(sluice, { name: freshName(), rateLimit: ONCE });
    const login = { rateLimit: ONCE, hook: 'preValidation', key: ({ body }) => body.user };
    fastify.after(() => {
      fastify.get('/', served);
      fastify.post('/login', { config: { sluice: login } }, served);
    });
    const by = (user) => post({ user }, '/login');
    assert.deepEqual(
      await injectAll(fastify, by('ada'), by('ada'), by('bob'), '/', '/'),
      [200, 429, 200, 200, 429],
    );
  });

  test('answers are recorded even when the hook never runs', async (t) => {
    const fastify = createFastify(t);
    const options = { rateLimit: TWICE, hook: 'preHandler', reputation: BANS, countOnly: 'failures' };
    fastify.register(sluice, { name: freshName(), ...options });
    fastify.after(() => {
      fastify.addHook('onRequest', async (_request, reply) => reply.code(401).send('no'));
      fastify.get('/', served);
    });
    const port = await listenOn(fastify);
    const headers = { authorization: 'Basic x' };
    assert.deepEqual(await statuses(4, port, { headers }), [401, 401, 401, 403]);
    assert.equal(fastify.sluice.stats().rateLimit.allowed, 0);
  });

  test('a refusal in a later hook calls handler, and response hooks run', async (t) => {
    const fastify = createFastify(t);
    const handler = (_request, _reply, { reason }) => ({ reason });
    fastify.register(sluice, { name: freshName(), rateLimit: ONCE, hook: 'preHandler', handler });
    const seen = [];
    fastify.after(() => {
      fastify.addHook('onResponse', async (request) => seen.push(request.sluice.outcome));
      fastify.get('/', served);
    });
    await fastify.inject('/');
    assert.deepEqual((await fastify.inject('/')).json(), { reason: 'quota' });
    assert.deepEqual(seen, ['allowed', 'refused']);
  });

  test('a guard in an inner scope may have another hook than the outer one', async (t) => {
    const fastify = createFastify(t);
    fastify.register(sluice, { name: freshName(), rateLimit: TWICE });
    fastify.register(async (scope) => {
      scope.register(sluice, {
        name: freshName(),
        rateLimit: ONCE,
        hook: 'preHandler',
        key: ({ body }) => body.user,
      });
      scope.post('/', served);
    });
    const [ada, bob] = [post({ user: 'ada' }), post({ user: 'bob' })];
    assert.deepEqual(await injectAll(fastify, ada, bob, ada), [200, 200, 429]);
  });

  test('accepts four values, for Fastify only', async (t) => {
    const accepted = /hook is "onSend"; accepted: "onRequest", "preParsing", "preValidation", "preHandler"/;
    const invalid = (message) => ({ code: 'ERR_SLUICE_INVALID_OPTION', message });
    assert.throws(() => createGuard(freshName(), { hook: 'onSend' }), invalid(accepted));
    const express = (await import('../../lib/express.js')).default;
    assert.throws(() => express({ name: freshName(), hook: 'onRequest' }), invalid(/no option "hook"/));
    const fastify = createFastify(t);
    fastify.register(sluice, { name: freshName() });
    await fastify.after();
    assert.throws(
      () => fastify.get('/', { config: { sluice: { hook: 'onSend' } } }, served),
      invalid(accepted),
    );
  });
});

describe('an error of key in a hook that is too early', () => {
  const bodyOf = ({ body }) => body.user;

  test('names the hook in which the value is available, and is the thrown error', async (t) => {
    const fastify = createFastify(t);
    let thrown;
    const key = (request) => {
      try {
        return bodyOf(request);
      } catch (error) {
        thrown = error;
        throw error;
      }
    };
    let handled;
    fastify.setErrorHandler((error, _request, reply) => {
      handled = error;
      return reply.code(500).send(error);
    });
    fastify.register(sluice, { name: freshName(), key });
    fastify.after(() => fastify.post('/', served));
    const { message } = (await fastify.inject(post({ user: 'ada' }))).json();
    assert.match(message, /^Cannot read properties of undefined \(reading 'user'\)\. /);
    assert.match(message, /asked in the hook "onRequest": request\.body is there from "preValidation" on/);
    assert.match(message, /The option hook /);
    assert.equal(handled, thrown);
  });

  test('with keyFallback: error names that hook too', async (t) => {
    const fastify = createFastify(t);
    const options = { name: freshName(), key: ({ user }) => user, keyFallback: 'error' };
    fastify.register(sluice, options);
    fastify.after(() => fastify.get('/', served));
    const { code, message } = (await fastify.inject('/')).json();
    assert.equal(code, 'ERR_SLUICE_INVALID_KEY');
    assert.match(message, /what key returned is undefined; accepted: .*"preHandler"/);
  });

  test('is unchanged for other errors and in preHandler', async (t) => {
    for (const [hook, error] of [
      ['onRequest', new TypeError('the session store is down')],
      ['preHandler', new TypeError("Cannot read properties of undefined (reading 'user')")],
    ]) {
      const fastify = createFastify(t);
      const { message } = error;
      const key = () => {
        throw error;
      };
      fastify.register(sluice, { name: freshName(), hook, key });
      fastify.after(() => fastify.get('/', served));
      assert.equal((await fastify.inject('/')).json().message, message);
    }
  });
});

describe('registering the plugin twice in one scope', () => {
  for (const same of [true, false]) {
    test(`is rejected with the alternatives, ${same ? 'with one name' : 'with two names'}`, async (t) => {
      const fastify = createFastify(t);
      const name = freshName();
      fastify.register(sluice, { name });
      fastify.register(sluice, { name: same ? name : freshName() });
      await assert.rejects(async () => fastify.ready(), {
        name: 'SluiceError',
        code: 'ERR_SLUICE_INVALID_OPTION',
        message: /registered twice in one scope.*config\.sluice.*fastify\.register\(async \(scope\)/,
      });
    });
  }
});

test('sequential requests on one connection each get one answer', async (t) => {
  const fastify = createFastify(t);
  fastify.register(sluice, { name: freshName(), rateLimit: { limit: 3, window: '10s' }, hook: 'preHandler' });
  fastify.after(() => fastify.post('/', served));
  const port = await listenOn(fastify);
  const agent = keepAliveAgent(t, { maxSockets: 1 });
  const answers = [];
  for (let i = 0; i < 5; i++) {
    const request = http.request({
      port,
      host: '127.0.0.1',
      method: 'POST',
      agent,
      headers: { 'content-type': 'application/json' },
    });
    request.end(JSON.stringify({ i }));
    const [response] = await once(request, 'response');
    response.resume();
    await once(response, 'end');
    answers.push(response.statusCode);
  }
  assert.deepEqual(answers, [200, 200, 200, 429, 429]);
});
