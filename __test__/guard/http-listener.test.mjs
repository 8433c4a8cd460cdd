// sluice/http before listeners of node:http and node:http2, over real connections.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sluice from '../../lib/node-http.js';
import { ask, serve, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const ONCE = { limit: 1, window: '10s' };

stopClock();
const freshName = freshNames('http');

test('a refusal is a problem document, and the listener is not called', async (t) => {
  const name = freshName();
  const served = [];
  const protect = sluice({ name, rateLimit: ONCE });
  const port = await serve(
    t,
    protect((req, res) => {
      served.push(req.sluice.outcome);
      res.end('served');
    }),
  );
  const first = await ask(port);
  assert.deepEqual(
    [first.status, first.text, first.headers.ratelimit],
    [200, 'served', `"${name}";r=0;t=10`],
  );
  const { status, headers, json } = await ask(port);
  assert.deepEqual([status, headers['retry-after'], json.title], [429, '10', 'Quota Exceeded']);
  assert.equal(headers['content-type'], 'application/problem+json');
  const head = await ask(port, { method: 'HEAD' });
  assert.deepEqual([head.status, head.text], [429, '']);
  assert.deepEqual(served, ['allowed']);
});

test('over HTTP/2, each stream of a session is decided on', async (t) => {
  const protect = sluice({ name: freshName(), rateLimit: { limit: 2, window: '10s' } });
  const server = http2.createServer(protect((_req, res) => res.end('served')));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const session = http2.connect(`http://127.0.0.1:${server.address().port}`);
  t.after(() => session.close());
  const seen = [];
  for (let i = 0; i < 3; i++) {
    const stream = session.request({ ':path': '/' });
    const [headers] = await once(stream.resume(), 'response');
    seen.push([headers[':status'], headers['content-type']]);
  }
  assert.deepEqual(seen, [
    [200, undefined],
    [200, undefined],
    [429, 'application/problem+json'],
  ]);
});

test('protect(req, res, next) is the guard as middleware, and charges the request once', async (t) => {
  const protect = sluice({ name: freshName(), rateLimit: { limit: 2, window: '10s' } });
  const port = await serve(t, (req, res) =>
    protect(req, res, () => protect(req, res, () => res.end('served'))),
  );
  assert.deepEqual(await statuses(3, port), [200, 200, 429]);
});

const unreadable = Object.create(null);
const THROWS = {
  'at once': () => {
    throw new Error('bad key');
  },
  later: async () => {
    throw new Error('bad key');
  },
  'what has no text': () => {
    throw unreadable;
  },
  'a symbol, later': () => Promise.reject(Symbol('bad key')),
  nothing: () => {
    throw undefined;
  },
};
for (const [what, key] of Object.entries(THROWS)) {
  test(`a function that throws ${what} is answered with 500, warned of once, and charges nothing`, async (t) => {
    const warnings = [];
    const onWarning = (warning) => warnings.push(warning.code);
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    const protect = sluice({ name: freshName(), rateLimit: ONCE, key });
    const port = await serve(
      t,
      protect((_req, res) => res.end('served')),
    );
    const { status, json } = await ask(port);
    assert.deepEqual([status, json.title], [500, 'Internal Server Error']);
    assert.doesNotMatch(JSON.stringify(json), /bad key/);
    assert.equal((await ask(port)).status, 500);
    assert.equal(protect.guard.limiter.size, 0);
    assert.deepEqual(warnings, ['SLUICE_FUNCTION_THREW']);
  });
}

test('what the listener throws ends the process, as without a guard', () => {
  const script = `
    const protect = require('./lib/node-http.js')({ key: async () => 'k' });
    const server = require('node:http').createServer(protect(() => { throw new Error('of the listener'); }));
    server.listen(0, '127.0.0.1', () => {
      require('node:http').get({ port: server.address().port, host: '127.0.0.1' }).on('error', () => {});
    });`;
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const options = { cwd, encoding: 'utf8', timeout: 60_000 };
  const { stderr, status } = spawnSync(process.execPath, ['-e', script], options);
  assert.equal(status, 1);
  assert.match(stderr, /Error: of the listener/);
});

test('a listener that is no function is an error', () => {
  const protect = sluice({ name: freshName() });
  assert.throws(() => protect('no function'), {
    code: 'ERR_SLUICE_INVALID_VALUE',
    message: /listener is "no function"; accepted: a function \(req, res\)/,
  });
});

test('createGuard gives the same middleware with each call', async () => {
  const { createGuard } = (await import('../../index.js')).default;
  const guard = createGuard(freshName());
  for (const adapter of ['express', 'koa', 'hono', 'http']) {
    assert.equal(guard[adapter](), guard[adapter](), adapter);
    assert.equal(guard[adapter]().guard, guard, adapter);
  }
});
