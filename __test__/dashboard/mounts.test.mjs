// Where a dashboard is mounted: its page, its links, and the guards before it, which leave its requests alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import express5 from 'express';
import express4 from 'express4';
import Fastify from 'fastify';
import sluice from '../../index.js';
import ownRequests from '../../lib/dashboard/own-requests.js';
import { openStream, post } from '../helpers/dashboard.mjs';
import { ask, serve } from '../helpers/http.mjs';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('mounts');

const PLACES = ['/', '/app.js', '/app.css', '/icon.svg'];

/** A guard that would refuse the second request, and record each answer that is a refusal. */
const strict = () =>
  sluice.createGuard(freshName(), {
    rateLimit: { limit: 1, window: '1h' },
    reputation: { maxFailures: 100, findTime: '1h', banTime: '1h', maxBanTime: '1h' },
    monitor: { rules: [] },
    record: { 403: { event: 'forbidden', when: 'always' }, 405: { event: 'method', when: 'always' } },
  });

function withExpress(express) {
  return (guard, mount, options) => {
    const app = express();
    app.use(guard.express());
    app.use(mount, guard.dashboard(options));
    app.use((_req, res) => res.send('served'));
    return app;
  };
}

const SERVERS = {
  'Express 5': withExpress(express5),
  'Express 4': withExpress(express4),
  'Express 5, before the guard': (guard, mount, options) => {
    const app = express5();
    app.use(mount, guard.dashboard(options));
    app.use(guard.express());
    return app.use((_req, res) => res.send('served'));
  },
  'Express 5, in a router with a path': (guard, mount, options) => {
    const app = express5();
    app.use(express5.json());
    app.use(guard.express());
    const router = express5.Router();
    router.use(guard.dashboard({ ...options, path: mount }));
    app.use(router);
    return app.use((_req, res) => res.send('served'));
  },
  'plain http': (guard, mount, options) => {
    const dashboard = guard.dashboard({ ...options, path: mount });
    const protect = guard.http();
    const listener = protect((_req, res) => res.end('served'));
    return (req, res) => dashboard(req, res, () => listener(req, res));
  },
  'plain http, behind the guard': (guard, mount, options) => {
    const dashboard = guard.dashboard({ ...options, path: mount });
    return guard.http()((req, res) => dashboard(req, res, () => res.end('served')));
  },
};

const FASTIFY = async (guard, mount, options) => {
  const app = Fastify();
  await app.register(guard.fastify);
  await app.register(guard.dashboard(options).fastify, { prefix: mount });
  app.get('/', async () => 'served');
  await app.ready();
  return app;
};

async function start(t, framework, guard, options) {
  if (framework !== 'Fastify 5') return serve(t, SERVERS[framework](guard, '/ops/sluice', options));
  const app = await FASTIFY(guard, '/ops/sluice', options);
  t.after(() => app.close());
  await app.listen({ port: 0, host: '127.0.0.1' });
  return app.server.address().port;
}

for (const framework of [...Object.keys(SERVERS), 'Fastify 5']) {
  test(`${framework}: serves the page below its mount, and the guard leaves its requests alone`, async (t) => {
    const guard = strict();
    const port = await start(t, framework, guard, { readOnly: false });
    for (const place of PLACES) {
      const { status, headers, text } = await ask(port, { path: `/ops/sluice${place}` });
      assert.equal(status, 200, place);
      assert.ok(text.length > 100);
      checkHeaders(headers);
      assert.equal(headers['ratelimit-policy'], undefined);
    }
    const mount = await ask(port, { path: '/ops/sluice' });
    assert.deepEqual([mount.status, mount.headers.location], [302, 'sluice/']);
    const stream = await openStream(t, port, '/ops/sluice/events');
    checkHeaders(stream.headers);
    const { guards } = await stream.next('snapshot');
    assert.deepEqual(
      guards.map(({ name }) => name),
      [guard.name],
    );
    const acted = await post(port, '/ops/sluice/action', { action: 'admit', client: { key: '203.0.113.7' } });
    assert.equal(acted.status, 200, acted.text);
    const refused = await post(port, '/ops/sluice/action', {}, { headers: { 'Sec-Fetch-Site': 'none' } });
    assert.equal(refused.status, 403);
    checkHeaders(refused.headers);

    const { allowed, refused: refusals, skipped, recorded, rateLimit, monitor } = guard.stats();
    assert.deepEqual(
      {
        allowed,
        refusals,
        skipped,
        recorded,
        charged: rateLimit.allowed + rateLimit.refused,
        events: monitor.recorded,
      },
      { allowed: 0, refusals: 0, skipped: 0, recorded: 0, charged: 0, events: 0 },
    );
    assert.equal((await ask(port, { path: '/' })).text, 'served');
    assert.equal((await ask(port, { path: '/' })).status, 429);
    // The exemption is for the dashboard's own places only.
    assert.equal((await ask(port, { path: '/ops/sluice/../other' })).status, 429);
    assert.equal((await ask(port, { path: '/ops/sluice-two/' })).status, 429);
  });
}

test('Express ignores the case of a mount, and so do the guards before it', async (t) => {
  const guard = strict();
  const port = await serve(t, SERVERS['Express 5'](guard, '/ops/Sluice'));
  for (const mount of ['/ops/sluice', '/OPS/SLUICE', '/ops/Sluice']) {
    for (const place of PLACES) assert.equal((await ask(port, { path: `${mount}${place}` })).status, 200);
  }
  assert.equal(guard.stats().allowed, 0);
});

test('where case matters, another case is another path', async (t) => {
  const guard = strict();
  const port = await serve(t, SERVERS['plain http, behind the guard'](guard, '/case/sluice'));
  const other = { path: '/case/SLUICE/events' };
  assert.deepEqual([(await ask(port, other)).status, (await ask(port, other)).status], [200, 429]);
});

test('mounts with parameters are known from requests, the newest of them', () => {
  const { addMount, isOwnRequest, learnMount } = ownRequests;
  addMount('/fixed/sluice');
  for (let tenant = 0; tenant < 1_000; tenant++) learnMount(`/Tenant/${tenant}/sluice`, true);
  const isKnown = (url) => isOwnRequest({ url });
  assert.ok(
    isKnown('/fixed/sluice/events?x') && isKnown('/tenant/999/SLUICE') && isKnown('/tenant/999/sluice/'),
  );
  assert.ok(!isKnown('/tenant/0/sluice/') && !isKnown('/tenant/999/sluice/other') && !isKnown('*'));
});

for (const options of [{ ignoreTrailingSlash: true }, { routerOptions: { ignoreTrailingSlash: true } }]) {
  test(`Fastify with ${JSON.stringify(options)}: the mount redirects to the page`, async (t) => {
    const app = Fastify(options);
    t.after(() => app.close());
    await app.register(sluice.dashboard().fastify, { prefix: '/ops/sluice' });
    await app.listen({ port: 0, host: '127.0.0.1' });
    const { port } = app.server.address();
    const mount = await ask(port, { path: '/ops/sluice?a' });
    assert.deepEqual([mount.status, mount.headers.location], [302, 'sluice/']);
    for (const place of PLACES) assert.equal((await ask(port, { path: `/ops/sluice${place}` })).status, 200);
  });
}

function checkHeaders(headers) {
  const policy = headers['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  assert.match(headers['cache-control'], /^no-store/);
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['referrer-policy'], 'no-referrer');
}

test('a request for another place goes on, or is answered with 404', async (t) => {
  const dashboard = sluice.dashboard({ path: '/sluice' });
  const port = await serve(t, dashboard);
  assert.equal((await ask(port, { path: '/' })).status, 404);
  assert.equal((await ask(port, { path: '/sluice/unknown' })).status, 404);
  assert.equal((await ask(port, { path: '/sluice/', method: 'POST' })).status, 405);
  const passing = await serve(t, (req, res) => dashboard(req, res, () => res.end('next')));
  assert.equal((await ask(passing, { path: '/sluicegate' })).text, 'next');
});

test('the page is compressed where the browser accepts that', async (t) => {
  const port = await serve(t, sluice.dashboard());
  const plain = await ask(port, { path: '/app.js' });
  const zipped = await ask(port, { path: '/app.js', headers: { 'Accept-Encoding': 'gzip, br' } });
  assert.equal(zipped.headers['content-encoding'], 'gzip');
  assert.ok(Number(zipped.headers['content-length']) < Number(plain.headers['content-length']) / 2);
  const head = await ask(port, { path: '/app.js', method: 'HEAD' });
  assert.deepEqual([head.headers['content-length'], head.text], [plain.headers['content-length'], '']);
  for (const name of ['/', '/app.js']) {
    const { text } = await ask(port, { path: name });
    assert.doesNotMatch(
      text,
      /https?:\/\/(?!www\.w3\.org)[a-z0-9.-]+\/[^\s"]*\.(?:js|css|woff)/,
      'no external resources',
    );
  }
});

test('options are checked', () => {
  const invalid = [
    [{ path: 'sluice' }, /path such as "\/sluice"/],
    [{ path: '/sluice/' }, /without a slash at its end/],
    [{ readOnly: 'yes' }, /true or false/],
    [{ authorize: true }, /a function/],
    [{ allowedOrigins: ['https://admin.example/'] }, /origins such as/],
    [{ allowedOrigins: ['*'] }, /origins such as/],
    [{ maxViewers: 0 }, /an integer from 1/],
    [{ title: '' }, /1 to 80 characters/],
    [{ onAction: null }, /a function/],
    [{ readonly: true }, /no option "readonly"/],
  ];
  for (const [options, message] of invalid) {
    assert.throws(() => sluice.dashboard(options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
  }
});
