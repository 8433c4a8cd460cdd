// Where Fastify decides: in which hook, by hand, outside of all hooks; and which routes share a limiter.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test } from 'node:test';
import Fastify from 'fastify';
import { createGuard, RateLimiter } from '../../index.js';
import sluice from '../../lib/fastify.js';
import { ask, read, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const ONCE = { limit: 1, window: '10s' };
const TWICE = { limit: 2, window: '10s' };
const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const LATER_HOOKS = ['preParsing', 'preValidation', 'preHandler'];

stopClock();
const freshName = freshNames('fastify-hooks');

function server(t, options) {
  const fastify = Fastify({ forceCloseConnections: true, ...options });
  t.after(() => fastify.close());
  return fastify;
}

async function listening(fastify) {
  await fastify.listen({ port: 0, host: '127.0.0.1' });
  return fastify.server.address().port;
}

const served = async () => 'served';
const post = (body, url = '/') => ({ method: 'POST', url, payload: body });
const statusesOf = async (fastify, ...requests) => {
  const all = [];
  for (const request of requests) all.push((await fastify.inject(request)).statusCode);
  return all;
};
/** Authentication as a preHandler: sets who asks, and refuses who does not say. */
const authenticate = async (request, reply) => {
  request.user = request.headers['x-user'];
  if (request.user === undefined) reply.code(401).send('who?');
};
const as = (user, url = '/') => ({ url, headers: user === undefined ? {} : { 'x-user': user } });

describe('hook', () => {
  for (const hook of ['preValidation', 'preHandler']) {
    test(`${hook}: the key may be of the body`, async (t) => {
      const fastify = server(t);
      fastify.register(sluice, { name: freshName(), rateLimit: ONCE, hook, key: ({ body }) => body.user });
      fastify.post('/', served);
      const [ada, bob] = [{ user: 'ada' }, { user: 'bob' }];
      assert.deepEqual(await statusesOf(fastify, post(ada), post(ada), post(bob)), [200, 429, 200]);
      const refused = await fastify.inject(post(ada));
      assert.equal(refused.headers['retry-after'], '10');
      assert.deepEqual(refused.json()['violated-policies'], [fastify.sluice.name]);
    });
  }

  for (const [order, register] of [
    ['before the plugin', (fastify, plugin) => fastify.addHook('preHandler', authenticate) && plugin()],
    ['after the plugin', (fastify, plugin) => plugin() && fastify.addHook('preHandler', authenticate)],
  ]) {
    test(`preHandler: the key may be of who was authenticated ${order}`, async (t) => {
      const fastify = server(t);
      const options = {
        name: freshName(),
        rateLimit: ONCE,
        hook: 'preHandler',
        key: ({ user }) => user.length && user,
      };
      fastify.decorateRequest('user', null);
      register(fastify, () => fastify.register(sluice, options));
      fastify.register(async (scope) => scope.get('/', served));
      assert.deepEqual(
        await statusesOf(fastify, as('ada'), as('ada'), as('bob'), as()),
        [200, 429, 200, 401],
      );
      assert.equal(fastify.sluice.stats().rateLimit.allowed, 2);
    });
  }

  test('a route’s own preHandler runs before the rate is decided', async (t) => {
    const fastify = server(t);
    fastify.register(sluice, {
      name: freshName(),
      rateLimit: ONCE,
      hook: 'preHandler',
      key: ({ user }) => user,
    });
    fastify.decorateRequest('user', null);
    fastify.after(() => fastify.get('/', { preHandler: [authenticate] }, served));
    assert.deepEqual(await statusesOf(fastify, as('ada'), as('ada'), as('bob')), [200, 429, 200]);
  });

  for (const hook of LATER_HOOKS) {
    test(`${hook}: each request is charged once, GET, HEAD and those without a route`, async (t) => {
      const fastify = server(t);
      fastify.register(sluice, { name: freshName(), rateLimit: { limit: 3, window: '10s' }, hook });
      fastify.after(() => fastify.get('/', served));
      const [get, head, none] = ['/', { method: 'HEAD', url: '/' }, '/nowhere'];
      assert.deepEqual(
        await statusesOf(fastify, get, head, none, get, head, none),
        [200, 200, 404, 429, 429, 429],
      );
    });

    test(`${hook}: routes that were declared before the plugin are limited too`, async (t) => {
      const fastify = server(t);
      fastify.get('/', served);
      fastify.get('/own', { config: { sluice: { rateLimit: ONCE, hook: 'preHandler' } } }, served);
      fastify.register(sluice, { name: freshName(), rateLimit: ONCE, hook });
      assert.deepEqual(await statusesOf(fastify, '/', '/', '/own', '/own'), [200, 429, 200, 429]);
    });

    test(`${hook}: bans and caps stay in onRequest`, async (t) => {
      const fastify = server(t);
      const options = { name: freshName(), rateLimit: ONCE, reputation: BANS, connections: { max: 1 }, hook };
      fastify.register(sluice, options);
      const seen = [];
      fastify.after(() => {
        fastify.addHook('preParsing', async ({ url }) => void seen.push(url));
        fastify.get('/', served);
      });
      const port = await listening(fastify);
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      t.after(() => agent.destroy());
      assert.deepEqual(await statuses(1, port, { agent }), [200]);
      assert.equal((await ask(port)).status, 503);
      fastify.sluice.reputation.ban('127.0.0.1', { duration: '1m' });
      assert.deepEqual(await statuses(1, port, { agent }), [403]);
      assert.equal(seen.length, 1);
    });
  }

  test('of a route, where the plugin has another', async (t) => {
    const fastify = server(t);
    fastify.register(sluice, { name: freshName(), rateLimit: ONCE });
    const login = { rateLimit: ONCE, hook: 'preValidation', key: ({ body }) => body.user };
    fastify.after(() => {
      fastify.get('/', served);
      fastify.post('/login', { config: { sluice: login } }, served);
    });
    const by = (user) => post({ user }, '/login');
    assert.deepEqual(
      await statusesOf(fastify, by('ada'), by('ada'), by('bob'), '/', '/'),
      [200, 429, 200, 200, 429],
    );
  });

  test('answers are recorded and counted though the hook never came', async (t) => {
    const fastify = server(t);
    const options = { rateLimit: TWICE, hook: 'preHandler', reputation: BANS, countOnly: 'failures' };
    fastify.register(sluice, { name: freshName(), ...options });
    fastify.after(() => {
      fastify.addHook('onRequest', async (_request, reply) => reply.code(401).send('no'));
      fastify.get('/', served);
    });
    const port = await listening(fastify);
    const headers = { authorization: 'Basic x' };
    assert.deepEqual(await statuses(4, port, { headers }), [401, 401, 401, 403]);
    assert.equal(fastify.sluice.stats().rateLimit.allowed, 0);
  });

  test('a refusal there has the route’s handler, and hooks of the answer run', async (t) => {
    const fastify = server(t);
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

  test('an inner scope’s guard may have another than the outer', async (t) => {
    const fastify = server(t);
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
    assert.deepEqual(await statusesOf(fastify, ada, bob, ada), [200, 200, 429]);
  });

  test('is one of four, and Fastify’s alone', async (t) => {
    const accepted = /hook is "onSend"; accepted: "onRequest", "preParsing", "preValidation", "preHandler"/;
    const wrong = (message) => ({ code: 'ERR_SLUICE_INVALID_OPTION', message });
    assert.throws(() => createGuard(freshName(), { hook: 'onSend' }), wrong(accepted));
    const express = (await import('../../lib/express.js')).default;
    assert.throws(() => express({ name: freshName(), hook: 'onRequest' }), wrong(/no option "hook"/));
    const fastify = server(t);
    fastify.register(sluice, { name: freshName() });
    await fastify.after();
    assert.throws(
      () => fastify.get('/', { config: { sluice: { hook: 'onSend' } } }, served),
      wrong(accepted),
    );
  });
});

describe('an error of a key that asks too early', () => {
  const bodyOf = ({ body }) => body.user;

  test('says which hook has what it reads, and is the error that was thrown', async (t) => {
    const fastify = server(t);
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

  test('so does the one of keyFallback', async (t) => {
    const fastify = server(t);
    const options = { name: freshName(), key: ({ user }) => user, keyFallback: 'error' };
    fastify.register(sluice, options);
    fastify.after(() => fastify.get('/', served));
    const { code, message } = (await fastify.inject('/')).json();
    assert.equal(code, 'ERR_SLUICE_INVALID_KEY');
    assert.match(message, /what key returned is undefined; accepted: .*"preHandler"/);
  });

  test('other errors, and those of preHandler, are as they were', async (t) => {
    for (const [hook, error] of [
      ['onRequest', new TypeError('the session store is down')],
      ['preHandler', new TypeError("Cannot read properties of undefined (reading 'user')")],
    ]) {
      const fastify = server(t);
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

describe('routes of one name', () => {
  const shared = (name, rateLimit = TWICE) => ({ config: { sluice: { name, rateLimit } } });

  test('share a limiter, over methods, scopes and servers', async (t) => {
    const name = freshName();
    const one = server(t);
    one.register(sluice, { name, rateLimit: ONCE });
    one.after(() => {
      one.get('/a', shared('search'), served);
      one.register(async (scope) => scope.post('/b', shared('search'), served), { prefix: '/inner' });
      one.get('/c', shared('other'), served);
    });
    const other = server(t);
    other.register(sluice, { name, rateLimit: ONCE });
    other.after(() => other.get('/d', shared('search'), served));
    assert.deepEqual(await statusesOf(one, '/a', { method: 'POST', url: '/inner/b' }, '/a'), [200, 200, 429]);
    assert.deepEqual(await statusesOf(other, '/d', '/d'), [429, 429]);
    assert.deepEqual(await statusesOf(one, '/c'), [200]);
    assert.deepEqual(Object.keys(one.sluice.stats().routes), [`${name}:search`, `${name}:other`]);
    assert.equal(new RateLimiter(`${name}:search`).peek('127.0.0.1').remaining, 0);
  });

  test('must agree on it, and each says what it is', async (t) => {
    const fastify = server(t);
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

describe('check(request, reply)', () => {
  /** A route that asks by hand, and answers what it was told. */
  const asking = (fastify) => async (request, reply) => {
    const answer = fastify.sluice.check(request, reply);
    assert.ok(answer instanceof Promise);
    const { allowed, status, body } = await answer;
    return allowed ? 'served' : reply.code(status).send(body);
  };

  test('is a promise of the decision, with the headers written', async (t) => {
    const fastify = server(t);
    const name = freshName();
    fastify.register(sluice, { name, rateLimit: TWICE });
    fastify.after(() => fastify.get('/', { config: { sluice: { rateLimit: false } } }, asking(fastify)));
    const first = await fastify.inject('/');
    assert.deepEqual([first.statusCode, first.headers.ratelimit], [200, `"${name}";r=1;t=5`]);
    await fastify.inject('/');
    const refused = await fastify.inject('/');
    assert.deepEqual([refused.statusCode, refused.headers['retry-after']], [429, '5']);
    assert.match(refused.headers['content-type'], /^application\/problem\+json/);
    assert.equal(refused.headers['cache-control'], 'no-store');
    assert.deepEqual(refused.json()['violated-policies'], [name]);
  });

  test('charges once more, by the limit and key of the route', async (t) => {
    const fastify = server(t);
    fastify.register(sluice, { name: freshName() });
    const rule = { rateLimit: { limit: 4, window: '10s' }, key: ({ headers }) => headers['x-user'] };
    fastify.after(() => fastify.get('/', { config: { sluice: rule } }, asking(fastify)));
    assert.deepEqual(
      await statusesOf(fastify, as('ada'), as('ada'), as('ada'), as('bob')),
      [200, 200, 429, 200],
    );
  });

  test('the policy is told once, and request.sluice is the latest decision', async (t) => {
    const fastify = server(t);
    fastify.register(sluice, { name: freshName(), rateLimit: TWICE, reputation: BANS });
    fastify.after(() =>
      fastify.get('/', async (request, reply) => {
        const decision = await fastify.sluice.check(request, reply);
        assert.equal(request.sluice, decision);
        return reply.code(404).send('nothing');
      }),
    );
    const port = await listening(fastify);
    const { headers } = await ask(port, { headers: { authorization: 'x' } });
    assert.equal(headers.ratelimit, `"${fastify.sluice.name}";r=0;t=5`);
    assert.equal(fastify.sluice.stats().rateLimit.allowed, 2);
  });

  test('rejects with what a function of the user’s throws', async (t) => {
    const fastify = server(t);
    const key = () => {
      throw new Error('the session store is down');
    };
    fastify.register(sluice, { name: freshName(), key });
    fastify.after(() => fastify.get('/', { config: { sluice: { rateLimit: false } } }, asking(fastify)));
    const { statusCode, message } = (await fastify.inject('/')).json();
    assert.deepEqual([statusCode, message], [500, 'the session store is down']);
  });

  test('works for a guard that is no plugin', async (t) => {
    const guard = createGuard(freshName(), { rateLimit: ONCE });
    const fastify = server(t);
    fastify.get('/', async (request, reply) => {
      const { allowed, status, body } = await guard.check(request, reply);
      return allowed ? 'served' : reply.code(status).send(body);
    });
    assert.deepEqual(await statusesOf(fastify, '/', '/'), [200, 429]);
  });
});

describe('what Fastify answers outside all hooks', () => {
  const rawAsk = (port, path) => read(http.get({ port, path, host: '127.0.0.1', agent: false }));

  test('/%zz is charged and recorded, though it stays a 400', async (t) => {
    const fastify = server(t);
    const record = { 400: { event: 'bad-request', weight: 1 } };
    fastify.register(sluice, {
      name: freshName(),
      rateLimit: { limit: 5, window: '10s' },
      reputation: BANS,
      monitor: { rules: [] },
      record,
    });
    fastify.after(() => fastify.get('/', served));
    const port = await listening(fastify);
    assert.deepEqual([(await rawAsk(port, '/%zz')).status, (await rawAsk(port, '/')).status], [400, 200]);
    const guard = fastify.sluice;
    assert.equal(guard.limiter.peek('127.0.0.1').remaining, 3);
    assert.deepEqual(guard.monitor.counts(), { 'bad-request': 1 });
    await rawAsk(port, '/%zz');
    await rawAsk(port, '/%zz');
    assert.equal((await rawAsk(port, '/')).status, 403, 'three of them ban');
    assert.equal(guard.stats().allowed, 4);
  });

  test('so is a parameter that is too long, and what frameworkErrors answers', async (t) => {
    const frameworkErrors = (_error, _request, reply) => void setImmediate(() => reply.code(418).send('no'));
    const fastify = server(t, { frameworkErrors, routerOptions: { maxParamLength: 10 } });
    const plain = server(t, { routerOptions: { maxParamLength: 10 } });
    for (const [one, path, status] of [
      [fastify, '/%zz', 418],
      [plain, `/${'x'.repeat(20)}`, 414],
    ]) {
      const record = { [status]: 'odd' };
      one.register(sluice, { name: freshName(), rateLimit: ONCE, monitor: { rules: [] }, record });
      one.after(() => one.get('/:id', served));
      const port = await listening(one);
      assert.equal((await rawAsk(port, path)).status, status);
      assert.deepEqual(one.sluice.monitor.counts(), { odd: 1 });
      assert.equal((await rawAsk(port, '/x')).status, 429);
    }
  });

  test('functions of the user are not asked: there is no request of Fastify’s', async (t) => {
    const fastify = server(t);
    const never = () => assert.fail('asked');
    fastify.register(sluice, { name: freshName(), rateLimit: ONCE, key: never, cost: never, skip: never });
    const limited = server(t);
    limited.register(sluice, { name: freshName(), rateLimit: { limit: never, window: '1s' } });
    for (const one of [fastify, limited]) {
      const port = await listening(one);
      assert.equal((await rawAsk(port, '/%zz')).status, 400);
      assert.deepEqual([one.sluice.stats().allowed, one.sluice.stats().faults], [1, 0]);
    }
  });

  test('no other answer is counted twice', async (t) => {
    const fastify = server(t);
    fastify.register(sluice, { name: freshName() });
    fastify.after(() => {
      fastify.get('/', (_request, reply) => void reply.code(400).send('sync'));
      fastify.get('/percent/:id', served);
    });
    const port = await listening(fastify);
    for (const path of ['/', '/percent/%41', '/?q=%zz', '/nowhere']) await rawAsk(port, path);
    assert.equal(fastify.sluice.stats().allowed, 4);
  });
});

describe('registering twice in one scope', () => {
  for (const same of [true, false]) {
    test(`says what to do, ${same ? 'with one name' : 'with two names'}`, async (t) => {
      const fastify = server(t);
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

test('one answer for each request: a stream of requests on one connection', async (t) => {
  const fastify = server(t);
  fastify.register(sluice, { name: freshName(), rateLimit: { limit: 3, window: '10s' }, hook: 'preHandler' });
  fastify.after(() => fastify.post('/', served));
  const port = await listening(fastify);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
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
