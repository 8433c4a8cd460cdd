// sluice/hono over real connections: what is particular to Hono. What all frameworks share is in the other files.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import sluice from '../../lib/hono.js';
import { ask, serve, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const ONCE = { limit: 1, window: '10s' };

stopClock();
const freshName = freshNames('hono');

async function serving(t, middlewares, route = (c) => c.text('served')) {
  const app = new Hono();
  const failed = [];
  app.onError((error, c) => {
    failed.push(error);
    return c.text('failed', 500);
  });
  for (const middleware of middlewares) app.use(middleware);
  app.get('/', route);
  return { app, failed, port: await serve(t, getRequestListener(app.fetch)) };
}

test('a refusal is a problem document, without the headers of the page', async (t) => {
  const page = (c, next) => {
    c.header('Cache-Control', 'public, max-age=3600');
    c.header('X-Frame-Options', 'DENY');
    return next();
  };
  const { port } = await serving(t, [page, sluice({ name: freshName(), rateLimit: ONCE })]);
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

const RESPONSES = {
  'c.text': (c) => c.text('served'),
  'c.json': (c) => c.json({ served: true }),
  'a Response of its own': () => new Response('served', { headers: { 'x-own': '1' } }),
};
for (const [what, route] of Object.entries(RESPONSES)) {
  test(`the headers of the quota are sent with ${what}`, async (t) => {
    const name = freshName();
    const { port } = await serving(t, [sluice({ name, rateLimit: ONCE })], route);
    const { status, headers } = await ask(port);
    assert.deepEqual([status, headers.ratelimit], [200, `"${name}";r=0;t=10`]);
    assert.equal(headers['ratelimit-policy'], `"${name}";q=1;w=10`);
  });
}

test("c.get('sluice') is the decision, and functions receive the context", async (t) => {
  const seen = [];
  const key = (c) => c.req.header('x-api-key');
  const { port } = await serving(t, [sluice({ name: freshName(), rateLimit: ONCE, key })], (c) => {
    seen.push(c.get('sluice'), c.var.sluice);
    return c.text('served');
  });
  const by = (value) => ({ headers: { 'x-api-key': value } });
  assert.deepEqual([(await ask(port, by('a'))).status, (await ask(port, by('a'))).status], [200, 429]);
  assert.equal((await ask(port, by('b'))).status, 200);
  assert.deepEqual(
    seen.map(({ outcome }) => outcome),
    ['allowed', 'allowed', 'allowed', 'allowed'],
  );
});

test('handler answers refused requests; status and headers are set', async (t) => {
  const handler = (c, _next, refusal) => c.json({ wait: refusal.retryAfterMs });
  const { port } = await serving(t, [sluice({ name: freshName(), rateLimit: ONCE, handler })]);
  await ask(port);
  const { status, json, headers } = await ask(port);
  assert.deepEqual([status, json, headers['retry-after']], [429, { wait: 10_000 }, '10']);
});

test('what a function throws reaches the application unchanged, and nothing is charged', async (t) => {
  const error = new Error('no key');
  const key = () => {
    throw error;
  };
  const middleware = sluice({ name: freshName(), rateLimit: ONCE, key });
  const { port, failed } = await serving(t, [middleware]);
  assert.equal((await ask(port)).status, 500);
  assert.equal(failed[0], error);
  assert.equal(middleware.guard.limiter.size, 0);
});

test('a falsy value that a function throws is replaced by an error', async (t) => {
  const { port, failed } = await serving(t, [sluice({ name: freshName(), key: () => Promise.reject() })]);
  assert.equal((await ask(port)).status, 500);
  assert.match(failed[0].message, /threw undefined/);
});

test('the status of the refusal is reset where handler throws', async (t) => {
  const app = new Hono();
  app.onError((error, c) => c.text(error.message));
  const handler = async () => {
    throw new Error('no answer');
  };
  app.use(sluice({ name: freshName(), rateLimit: ONCE, handler }));
  app.get('/', (c) => c.text('served'));
  const port = await serve(t, getRequestListener(app.fetch));
  await ask(port);
  const { status, text } = await ask(port);
  assert.deepEqual([status, text], [200, 'no answer']);
});

test('nothing is written behind an answer that the application has sent meanwhile', async (t) => {
  const key = async (c) => {
    if (c.req.path === '/sent') c.env.outgoing.writeHead(201).end('sent');
    return 'k';
  };
  const { port, failed } = await serving(t, [sluice({ name: freshName(), rateLimit: ONCE, key })]);
  await ask(port);
  const { status, text } = await ask(port, { path: '/sent' });
  assert.deepEqual([status, text, failed], [201, 'sent', []]);
});

test('the same middleware charges once, two guards charge both and list both policies', async (t) => {
  const [one, other] = [freshName(), freshName()];
  const first = sluice({ name: one, rateLimit: { limit: 5, window: '10s' } });
  const second = sluice({ name: other, rateLimit: { limit: 3, window: '10s' } });
  const { port } = await serving(t, [first, first, second]);
  const policies = `"${one}";q=5;w=10, "${other}";q=3;w=10`;
  assert.equal((await ask(port)).headers['ratelimit-policy'], policies);
  assert.deepEqual(await statuses(3, port), [200, 200, 429]);
  const refused = await ask(port);
  assert.deepEqual([refused.status, refused.headers['ratelimit-policy']], [429, policies]);
});

test('an asynchronous context survives the guard', async (t) => {
  const storage = new AsyncLocalStorage();
  const seen = [];
  const run = (_c, next) => storage.run('request', next);
  const { port } = await serving(t, [run, sluice({ name: freshName(), key: async () => 'k' })], (c) => {
    seen.push(storage.getStore());
    return c.text('served');
  });
  assert.equal((await ask(port)).status, 200);
  assert.deepEqual(seen, ['request']);
});

test('without a request of Node.js the error says what is accepted', async (t) => {
  const { app, failed } = await serving(t, [sluice({ name: freshName() })]);
  assert.equal((await app.request('/')).status, 500);
  assert.equal(failed[0].code, 'ERR_SLUICE_UNSUPPORTED');
  assert.match(failed[0].message, /c\.env\.incoming.*@hono\/node-server/);
});
