// sluice/nestjs in applications on both platforms, over real connections.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, test } from 'node:test';
import { Catch, HttpException } from '@nestjs/common';
import nest from '../../lib/nestjs.js';
import { ask, connectIdly, statuses } from '../helpers/http.mjs';
import { ADAPTERS, controllerOf, guarded, serveApp } from '../helpers/nest-guarded.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const { SkipSluice, Sluice, SluiceExceptionFilter, SluiceModule } = nest;
const ONCE = { limit: 1, window: '10s' };
const TWICE = { limit: 2, window: '10s' };

const clock = stopClock();
const freshName = freshNames('nest-guard');

for (const Adapter of ADAPTERS) {
  describe(`on ${Adapter.name}`, () => {
    const serve = (t, routes, options, more) =>
      serveApp(t, {
        Adapter,
        options: { name: freshName(), ...options },
        controllers: [controllerOf(routes)],
        ...more,
      });

    test('all routes share the limit of the module, and a refusal is a problem with its headers', async (t) => {
      const { port, guard } = await serve(t, { page: {}, other: {} }, { rateLimit: TWICE });
      const { headers } = await ask(port, { path: '/page' });
      assert.equal(headers.ratelimit, `"${guard.name}";r=1;t=5`);
      assert.equal(headers['ratelimit-policy'], `"${guard.name}";q=2;w=10`);
      assert.deepEqual(await statuses(2, port, { path: '/other' }), [200, 429]);
      const { status, headers: refused, json } = await ask(port, { path: '/page' });
      assert.equal(status, 429);
      assert.equal(refused['retry-after'], '5');
      assert.equal(refused['cache-control'], 'no-store');
      assert.match(refused['content-type'], /^application\/json/);
      assert.deepEqual(json['violated-policies'], [guard.name]);
      assert.deepEqual(await statuses(1, port, { path: '/page', from: '127.0.0.2' }), [200]);
    });

    test('@Sluice gives each route a limiter of its own, and one to all routes of its name', async (t) => {
      const search = { name: 'search', rateLimit: TWICE };
      const routes = {
        page: { decorators: [Sluice({ rateLimit: ONCE })] },
        other: { decorators: [Sluice({ rateLimit: ONCE })] },
        first: { decorators: [Sluice(search)] },
        second: { decorators: [Sluice(search)] },
        dear: { decorators: [Sluice({ cost: 2 })] },
      };
      const { port, guard } = await serve(t, routes, { rateLimit: TWICE });
      assert.deepEqual(await statuses(2, port, { path: '/page' }), [200, 429]);
      assert.deepEqual(await statuses(2, port, { path: '/other' }), [200, 429]);
      assert.deepEqual(await statuses(1, port, { path: '/first' }), [200]);
      assert.deepEqual(await statuses(2, port, { path: '/second' }), [200, 429]);
      assert.deepEqual(await statuses(2, port, { path: '/dear' }), [200, 429]);
      const names = ['Pages.page', 'Pages.other', 'search'].map((name) => `${guard.name}:${name}`);
      assert.deepEqual(Object.keys(guard.stats().routes).sort(), names.sort());
    });

    test('routes whose methods a decorator has wrapped have limiters of their own', async (t) => {
      const once = () => ({ decorators: [Sluice({ rateLimit: ONCE })], isUnnamed: true });
      const { port, guard } = await serve(t, { page: once(), other: once() }, { rateLimit: TWICE });
      assert.deepEqual(await statuses(2, port, { path: '/page' }), [200, 429]);
      assert.deepEqual(await statuses(2, port, { path: '/other' }), [200, 429]);
      const names = ['Pages.page', 'Pages.other'].map((name) => `${guard.name}:${name}`);
      assert.deepEqual(Object.keys(guard.stats().routes).sort(), names.sort());
    });

    test('@SkipSluice exempts a route, a decorator of a controller is for all its routes', async (t) => {
      const routes = { page: {}, other: {}, free: { decorators: [SkipSluice()] } };
      const { port } = await serveApp(t, {
        Adapter,
        options: { name: freshName(), rateLimit: TWICE },
        controllers: [controllerOf(routes, Sluice({ rateLimit: ONCE }))],
      });
      assert.deepEqual(await statuses(2, port, { path: '/page' }), [200, 429]);
      assert.deepEqual(await statuses(2, port, { path: '/other' }), [200, 429]);
      const { status, headers } = await ask(port, { path: '/free' });
      assert.deepEqual([status, headers.ratelimit], [200, undefined]);
      assert.deepEqual(await statuses(3, port, { path: '/free' }), [200, 200, 200]);
    });

    test('functions are given the request and the context, req.sluice is the decision', async (t) => {
      const given = [];
      const routes = {
        page: { handler: ({ sluice }) => ({ outcome: sluice.outcome, left: sluice.decision.remaining }) },
        planned: {
          decorators: [
            Sluice({ rateLimit: { limit: ({ headers }) => Number(headers['x-plan']), window: '1m' } }),
          ],
        },
      };
      const key = (request, context) => {
        given.push(`${context.getClass().name}.${context.getHandler().name}`);
        return request.headers['x-user'];
      };
      const { port } = await serve(t, routes, { rateLimit: TWICE, key });
      const of = (user) => ({ path: '/page', headers: { 'x-user': user } });
      assert.deepEqual((await ask(port, of('ada'))).json, { outcome: 'allowed', left: 1 });
      assert.deepEqual(await statuses(2, port, of('ada')), [200, 429]);
      assert.deepEqual(await statuses(1, port, of('bob')), [200]);
      assert.deepEqual(given, Array(4).fill('Pages.page'));
      const planned = { path: '/planned', headers: { 'x-user': 'ada', 'x-plan': '3' } };
      assert.deepEqual(await statuses(4, port, planned), [200, 200, 200, 429]);
    });

    test('overload asks by the priority of the route, whose function is given the request and the context', async (t) => {
      const byHeader = ({ headers }, context) =>
        `${headers['x-priority']}${context.getClass().name.slice(5)}`;
      const routes = {
        page: { decorators: [Sluice({ priority: 'low' })] },
        other: { decorators: [Sluice({ priority: byHeader })] },
        plain: {},
      };
      const { port, guard } = await serve(t, routes, { overload: true, priority: 'exempt' });
      assert.deepEqual(await statuses(1, port, { path: '/page' }), [200]);
      const headers = { 'x-priority': 'high' };
      assert.deepEqual(await statuses(2, port, { path: '/other', headers }), [200, 200]);
      assert.deepEqual(await statuses(1, port, { path: '/plain' }), [200]);
      assert.deepEqual(guard.stats().overload.admitted, { high: 2, normal: 0, low: 1, exempt: 1 });
    });

    test('a refusal is an HttpException, which filters of the application answer', async (t) => {
      const seen = [];
      class Filter {
        catch(exception, host) {
          seen.push(exception);
          host.switchToHttp().getResponse().status(exception.getStatus()).send({ slow: 'down' });
        }
      }
      Catch(HttpException)(Filter);
      const setUp = (app) => app.useGlobalFilters(new Filter());
      const { port } = await serve(t, { page: {} }, { rateLimit: ONCE }, { setUp });
      await ask(port, { path: '/page' });
      const { status, headers, json } = await ask(port, { path: '/page' });
      assert.deepEqual([status, headers['retry-after'], json], [429, '10', { slow: 'down' }]);
      assert.ok(seen[0] instanceof nest.SluiceException);
      assert.deepEqual([seen[0].refusal.reason, seen[0].refusal.retryAfterMs], ['quota', 10_000]);
    });

    test('SluiceExceptionFilter sends the media type of problems', async (t) => {
      const setUp = (app) => app.useGlobalFilters(new SluiceExceptionFilter());
      const { port } = await serve(t, { page: {} }, { rateLimit: ONCE }, { setUp });
      await ask(port, { path: '/page' });
      const { headers, json } = await ask(port, { path: '/page' });
      assert.equal(headers['content-type'], 'application/problem+json');
      assert.equal(json.title, 'Quota Exceeded');
      const head = await ask(port, { path: '/page', method: 'HEAD' });
      assert.deepEqual([head.status, head.text], [429, '']);
    });

    test('answers are recorded, also where no route is, and a banned client is refused', async (t) => {
      const routes = { page: {}, free: { decorators: [SkipSluice()] } };
      const reputation = { maxFailures: 3, findTime: '1m', banTime: '1m', maxBanTime: '1h' };
      const trustedProxies = ['127.0.0.0/8'];
      const record = { 404: { event: 'missing', weight: 1 } };
      const { port, guard } = await serve(t, routes, {
        reputation,
        trustedProxies,
        record,
        rateLimit: false,
      });
      const of = (client, path) => ({ path, headers: { 'x-forwarded-for': client } });
      assert.deepEqual(await statuses(3, port, of('203.0.113.1', '/missing')), [404, 404, 404]);
      assert.equal(guard.reputation.check('203.0.113.1').failures, 3);
      const { status, headers } = await ask(port, of('203.0.113.1', '/free'));
      assert.deepEqual([status, headers['retry-after']], [403, '60']);
      assert.deepEqual(await statuses(1, port, of('203.0.113.2', '/free')), [200]);
      clock.advance('1m');
      assert.deepEqual(await statuses(1, port, of('203.0.113.1', '/page')), [200]);
    });

    test('connections are refused at accept', async (t) => {
      const { port, guard } = await serve(t, { page: {} }, { connections: { maxPerClient: 1 } });
      await connectIdly(t, port);
      assert.deepEqual(await statuses(1, port, { path: '/page', from: '127.0.0.2' }), [200]);
      const { status, headers } = await ask(port, { path: '/page' });
      assert.deepEqual([status, headers['retry-after']], [503, '1']);
      assert.equal(guard.tracker.stats().refused.maxPerClient, 1);
    });

    test('a request that two guards of Nest stand before is charged once', async (t) => {
      const routes = { page: { decorators: [guarded] } };
      const { port, guard } = await serve(t, routes, { rateLimit: { limit: 5, window: '10s' } });
      await ask(port, { path: '/page' });
      assert.equal(guard.limiter.peek('127.0.0.1').remaining, 4);
    });

    test('@UseGuards guards one route', async (t) => {
      const routes = { page: { decorators: [guarded] }, other: {} };
      const { port } = await serve(t, routes, { rateLimit: ONCE }, { isGlobal: false });
      assert.deepEqual(await statuses(2, port, { path: '/page' }), [200, 429]);
      assert.deepEqual(await statuses(2, port, { path: '/other' }), [200, 200]);
    });

    test('an asynchronous context survives the guard', async (t) => {
      const storage = new AsyncLocalStorage();
      const seen = [];
      const routes = { page: { handler: () => seen.push(storage.getStore()) } };
      const setUp = (app) => app.use((_req, _res, next) => storage.run('request', next));
      const { port } = await serve(t, routes, { key: async () => 'k' }, { setUp });
      assert.equal((await ask(port, { path: '/page' })).status, 200);
      assert.deepEqual(seen, ['request']);
    });

    test('what a function throws reaches the filters, and nothing is charged', async (t) => {
      const key = () => {
        throw new HttpException('no key', 418);
      };
      const { port, guard } = await serve(t, { page: {} }, { key });
      assert.equal((await ask(port, { path: '/page' })).status, 418);
      assert.equal(guard.limiter.size, 0);
    });
  });
}

test('forRootAsync makes the options by a factory or a class', async (t) => {
  class Settings {
    createSluiceOptions() {
      return { name: freshName(), rateLimit: ONCE };
    }
  }
  const factory = { useFactory: async () => new Settings().createSluiceOptions() };
  for (const given of [factory, { useClass: Settings }]) {
    const module = SluiceModule.forRootAsync(given);
    const { port } = await serveApp(t, { module, controllers: [controllerOf({ page: {} })] });
    assert.deepEqual(await statuses(2, port, { path: '/page' }), [200, 429]);
  }
});

test('invalid options of a decorator fail where it is written', () => {
  const invalid = { code: 'ERR_SLUICE_INVALID_OPTION' };
  assert.throws(() => Sluice({ rateLimits: 5 }), {
    ...invalid,
    message:
      '@Sluice has no option "rateLimits"; accepted: rateLimit, key, keyFallback, cost, skip, skipPreflight, wait, ' +
      'countOnly, login, priority, name',
  });
  assert.throws(() => Sluice({ name: 'search' }), invalid);
  assert.throws(() => Sluice({ cost: 0 }), invalid);
});

test('invalid options, and limiters of one name that differ, fail the start of the application', async () => {
  const starts = (routes, options) => serveApp({}, { options, controllers: [controllerOf(routes)] });
  for (const options of [{ handler: () => {} }, { hook: 'preHandler' }, { rateLimit: 5 }, null]) {
    await assert.rejects(starts({ page: {} }, options), { code: 'ERR_SLUICE_INVALID_OPTION' });
  }
  const routes = {
    first: { decorators: [Sluice({ name: 'search', rateLimit: ONCE })] },
    second: { decorators: [Sluice({ name: 'search', rateLimit: TWICE })] },
  };
  await assert.rejects(starts(routes, { name: freshName() }), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
});
