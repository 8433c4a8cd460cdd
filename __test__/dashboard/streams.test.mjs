// The event stream: its content, its bounds, and its end.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { test } from 'node:test';
import Fastify from 'fastify';
import sluice from '../../index.js';
import { openStream } from '../helpers/dashboard.mjs';
import { ask, serve } from '../helpers/http.mjs';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('streams');

test('a viewer gets the last hour first, then what there is, again and again', async (t) => {
  const guard = sluice.createGuard(freshName(), { rateLimit: { limit: 3, window: '1h' } });
  const dashboard = guard.dashboard({ path: '/sluice', title: 'shop' });
  const protect = guard.http();
  const port = await serve(t, (req, res) => dashboard(req, res, () => protect(req, res, () => res.end())));
  for (let i = 0; i < 5; i++) await ask(port);
  const stream = await openStream(t, port, '/sluice/events');
  assert.equal(stream.headers['content-type'], 'text/event-stream');
  const { title, readOnly, isAll, history } = await stream.next('hello');
  assert.deepEqual({ title, readOnly, isAll }, { title: 'shop', readOnly: true, isAll: false });
  const sums = (rows, kinds) =>
    Array.from({ length: kinds }, (_, kind) =>
      rows.filter((_count, place) => place % kinds === kind).reduce((sum, count) => sum + count, 0),
    );
  assert.deepEqual(sums(history.guards[0].rows, 10), [3, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(sums(history.limiters[0].rows, 3), [3, 2, 0]);

  const first = await stream.next('snapshot');
  assert.deepEqual([first.guards[0].allowed, first.guards[0].refusedByQuota], [3, 2]);
  assert.equal(first.limiters[0].limits[0].limit, 3);
  assert.deepEqual(
    first.threads.map(({ threadId }) => threadId),
    [0],
  );
  const [offender] = first.offenders;
  assert.deepEqual([offender.client, offender.reason, offender.source], ['127.0.0.1', 'quota', guard.name]);
  await ask(port);
  const later = await stream.until(({ guards }) => guards[0].refusedByQuota === 3);
  assert.ok(later.at >= first.at);
});

test('there are at most maxViewers', async (t) => {
  const port = await serve(t, sluice.dashboard({ maxViewers: 2 }));
  const first = await openStream(t, port, '/events');
  await openStream(t, port, '/events');
  const third = await ask(port, { path: '/events' });
  assert.equal(third.status, 503);
  assert.equal(third.headers['retry-after'], '5');
  assert.match(third.text, /2 viewers watch already/);
  first.request.destroy();
  // The server learns of the end a moment later.
  for (;;) {
    const again = await openStream(t, port, '/events');
    if (again.status === 200) break;
    await again.ended;
  }
});

test('a viewer that does not read is dropped, and the others go on', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const reputation = new sluice.Reputation(freshName(), {
    maxFailures: 3,
    findTime: '1m',
    banTime: '1h',
    maxBanTime: '1h',
  });
  // Large snapshots.
  for (let i = 0; i < 200; i++) {
    reputation.ban(`203.0.113.${i}`, { duration: '1h', reason: 'x'.repeat(250) });
  }
  const port = await serve(t, sluice.dashboard());
  const reading = await openStream(t, port, '/events');
  const stuck = net.connect({ port, host: '127.0.0.1' });
  t.after(() => stuck.destroy());
  stuck.pause();
  stuck.write(`GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const ended = new Promise((resolve) => stuck.once('close', resolve));
  stuck.on('error', () => {});
  await reading.next('snapshot');
  let isEnded = false;
  ended.then(() => {
    isEnded = true;
  });
  for (let ticks = 0; !isEnded; ticks++) {
    assert.ok(ticks < 2_000, 'it is dropped within some megabytes');
    t.mock.timers.tick(1_000);
    await reading.next('snapshot');
    // Reading would show the end of the connection only; what was sent before is discarded with it.
    if (ticks > 0 && ticks % 100 === 0) stuck.resume();
  }
  t.mock.timers.tick(1_000);
  await reading.next('snapshot');
});

/** A server whose `authorize` waits: `next()` resolves with what lets the next request in. */
async function serveWaiting({ createServer = http.createServer, ...options } = {}) {
  const asked = [];
  const wakes = [];
  const authorize = (req) =>
    new Promise((admit) => {
      asked.push({ admit: () => admit(true), closed: new Promise((resolve) => req.once('close', resolve)) });
      wakes.shift()?.();
    });
  const server = createServer(sluice.dashboard({ authorize, ...options }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const next = async () => {
    while (asked.length === 0) await new Promise((wake) => wakes.push(wake));
    return asked.shift();
  };
  return { server, port: server.address().port, next };
}

test('viewers that leave while authorize is pending take no place', async (t) => {
  const { server, port, next } = await serveWaiting({ maxViewers: 1 });
  t.after(() => server.close());
  for (let attempt = 0; attempt < 3; attempt++) {
    const request = http.get({ port, path: '/events', host: '127.0.0.1', agent: false });
    request.on('error', () => {});
    const { admit, closed } = await next();
    request.destroy();
    await closed;
    admit();
  }
  const [stream] = await Promise.all([openStream(t, port, '/events'), next().then(({ admit }) => admit())]);
  assert.equal(stream.status, 200);
});

test('viewers of HTTP/2 that leave while authorize is pending take no place', async (t) => {
  const { createServer } = http2;
  const { server, port, next } = await serveWaiting({ createServer, maxViewers: 1 });
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => {
    session.destroy();
    server.close();
  });
  for (let attempt = 0; attempt < 3; attempt++) {
    const request = session.request({ ':path': '/events' });
    request.on('error', () => {});
    const { admit, closed } = await next();
    request.close(http2.constants.NGHTTP2_CANCEL);
    await closed;
    admit();
  }
  const request = session.request({ ':path': '/events' });
  const { admit } = await next();
  admit();
  const [headers] = await once(request, 'response');
  assert.equal(headers[':status'], 200);
});

test('a stream that begins while a server drains ends at once', async (t) => {
  const { server, port, next } = await serveWaiting();
  const lifecycle = new sluice.Lifecycle(freshName());
  lifecycle.attach(server);
  const opening = openStream(t, port, '/events');
  const { admit } = await next();
  const shutdown = lifecycle.shutdown({ timeout: '20s' });
  admit();
  const stream = await opening;
  await stream.ended;
  const { drained, forced } = await shutdown;
  assert.deepEqual([stream.status, drained, forced], [200, true, 0]);
});

test('a stream that begins while Fastify closes is refused', async (t) => {
  let admit;
  const asked = new Promise((resolve) => {
    admit = resolve;
  });
  const app = Fastify();
  let isAsked;
  const asking = new Promise((resolve) => {
    isAsked = resolve;
  });
  const authorize = () => {
    isAsked();
    return asked;
  };
  await app.register(sluice.dashboard({ authorize }).fastify, { prefix: '/sluice' });
  app.addHook('preClose', (done) => {
    // Hooks of the plugin ran before.
    admit(true);
    done();
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const opening = openStream(t, app.server.address().port, '/sluice/events');
  await asking;
  await app.close();
  assert.equal((await opening).status, 503);
});

test('a lifecycle ends the streams when it begins to drain', async (t) => {
  const lifecycle = new sluice.Lifecycle(freshName());
  const server = http.createServer(sluice.dashboard());
  lifecycle.attach(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stream = await openStream(t, server.address().port, '/events');
  await stream.next('snapshot');
  const [report] = await Promise.all([lifecycle.shutdown({ timeout: '20s' }), stream.ended]);
  assert.deepEqual([report.drained, report.forced], [true, 0]);
});

test("a guard's shutdown and Fastify's close end the streams", async (t) => {
  const guard = sluice.createGuard(freshName());
  const server = http.createServer(guard.dashboard());
  guard.attach(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stream = await openStream(t, server.address().port, '/events');
  assert.deepEqual(await guard.shutdown({ timeout: '20s' }), { drained: true, forced: 0 });
  await stream.ended;

  const app = Fastify();
  await app.register(sluice.dashboard().fastify, { prefix: '/sluice' });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const other = await openStream(t, app.server.address().port, '/sluice/events');
  await other.next('snapshot');
  await app.close();
  await other.ended;
});
