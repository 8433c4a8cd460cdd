// sluice/koa over real connections: what is particular to Koa. What all frameworks share is in the other files.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import Koa from 'koa';
import sluice from '../../lib/koa.js';
import { ask, serve, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const ONCE = { limit: 1, window: '10s' };

stopClock();
const freshName = freshNames('koa');

/** An application of these middlewares; `failed` has the errors that reach it. */
async function serving(t, ...middlewares) {
  const app = new Koa();
  const failed = [];
  app.on('error', (error) => failed.push(error));
  for (const middleware of middlewares) app.use(middleware);
  app.use((ctx) => {
    ctx.body = 'served';
  });
  return { port: await serve(t, app.callback()), failed };
}

test('a refusal is a problem document, without the headers of the page', async (t) => {
  const page = (ctx, next) => {
    ctx.set('Cache-Control', 'public, max-age=3600');
    ctx.set('X-Frame-Options', 'DENY');
    return next();
  };
  const { port } = await serving(t, page, sluice({ name: freshName(), rateLimit: ONCE }));
  assert.equal((await ask(port)).headers['cache-control'], 'public, max-age=3600');
  const { status, headers, json } = await ask(port);
  assert.equal(status, 429);
  assert.equal(headers['content-type'], 'application/problem+json');
  assert.equal(headers['cache-control'], 'no-store');
  assert.equal(headers['x-frame-options'], 'DENY');
  assert.equal(headers['retry-after'], '10');
  assert.equal(json.title, 'Quota Exceeded');
  const head = await ask(port, { method: 'HEAD' });
  assert.deepEqual([head.status, head.text], [429, '']);
});

test('ctx.state.sluice is the decision, and functions receive the context', async (t) => {
  const seen = [];
  const key = (ctx) => ctx.get('x-api-key');
  const { port } = await serving(t, sluice({ name: freshName(), rateLimit: ONCE, key }), (ctx, next) => {
    seen.push(ctx.state.sluice);
    return next();
  });
  const by = (value) => ({ headers: { 'x-api-key': value } });
  assert.deepEqual([(await ask(port, by('a'))).status, (await ask(port, by('a'))).status], [200, 429]);
  assert.equal((await ask(port, by('b'))).status, 200);
  assert.deepEqual(
    seen.map(({ outcome, decision }) => [outcome, decision.remaining]),
    [
      ['allowed', 0],
      ['allowed', 0],
    ],
  );
});

test('handler answers refused requests; status and headers are set', async (t) => {
  const handler = (ctx, _next, refusal) => {
    ctx.body = { wait: refusal.retryAfterMs, status: ctx.status };
  };
  const { port } = await serving(t, sluice({ name: freshName(), rateLimit: ONCE, handler }));
  await ask(port);
  const { status, json, headers } = await ask(port);
  assert.deepEqual([status, json, headers['retry-after']], [429, { wait: 10_000, status: 429 }, '10']);
});

test('what a function throws reaches the application unchanged, and nothing is charged', async (t) => {
  const error = new Error('no key');
  const key = () => {
    throw error;
  };
  const middleware = sluice({ name: freshName(), rateLimit: ONCE, key });
  const { port, failed } = await serving(t, middleware);
  assert.equal((await ask(port)).status, 500);
  assert.equal(failed[0], error);
  assert.equal(middleware.guard.limiter.size, 0);
});

test('a falsy value that a function throws is replaced by an error, so the client is answered', async (t) => {
  const { port, failed } = await serving(t, sluice({ name: freshName(), key: () => Promise.reject() }));
  assert.equal((await ask(port)).status, 500);
  assert.match(failed[0].message, /threw undefined/);
});

test('the status of the refusal is reset where handler throws', async (t) => {
  const caught = async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      ctx.body = { status: ctx.status, message: error.message };
    }
  };
  const handler = async () => {
    throw new Error('no answer');
  };
  const { port } = await serving(t, caught, sluice({ name: freshName(), rateLimit: ONCE, handler }));
  await ask(port);
  const { status, json } = await ask(port);
  assert.deepEqual([status, json], [200, { status: 200, message: 'no answer' }]);
});

test('nothing is written behind an answer that the application has sent meanwhile', async (t) => {
  const key = async (ctx) => {
    if (ctx.path === '/sent') ctx.res.writeHead(201).end('sent');
    return 'k';
  };
  const { port, failed } = await serving(t, sluice({ name: freshName(), rateLimit: ONCE, key }));
  await ask(port);
  const { status, text } = await ask(port, { path: '/sent' });
  assert.deepEqual([status, text, failed], [201, 'sent', []]);
});

test('the same middleware charges once, two guards charge both and list both policies', async (t) => {
  const [one, other] = [freshName(), freshName()];
  const first = sluice({ name: one, rateLimit: { limit: 5, window: '10s' } });
  const second = sluice({ name: other, rateLimit: { limit: 3, window: '10s' } });
  const { port } = await serving(t, first, first, second);
  const { headers } = await ask(port);
  assert.equal(headers['ratelimit-policy'], `"${one}";q=5;w=10, "${other}";q=3;w=10`);
  assert.deepEqual(await statuses(3, port), [200, 200, 429]);
  assert.equal(first.guard.limiter.peek('127.0.0.1').remaining, 1);
});

test('an asynchronous context survives the guard', async (t) => {
  const storage = new AsyncLocalStorage();
  const seen = [];
  const run = (_ctx, next) => storage.run('request', next);
  const guard = sluice({ name: freshName(), key: async () => 'k' });
  const { port } = await serving(t, run, guard, (_ctx, next) => {
    seen.push(storage.getStore());
    return next();
  });
  assert.equal((await ask(port)).status, 200);
  assert.deepEqual(seen, ['request']);
});

test('hook is no option of middleware', () => {
  assert.throws(() => sluice({ hook: 'preHandler' }), { code: 'ERR_SLUICE_INVALID_OPTION' });
});
