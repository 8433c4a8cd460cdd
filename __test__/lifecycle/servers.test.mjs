// Lifecycle and servers: what is answered, refused, left alone and ended while a thread shuts down.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import express from 'express';
import Fastify from 'fastify';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { selfSigned } from '../helpers/certificate.mjs';
import { ask, read } from '../helpers/http.mjs';
import { freshNames } from '../helpers/setup.mjs';
import { connect, listening, readAll, until } from '../helpers/sockets.mjs';

const { Lifecycle, createGuard } = sluice;

const freshName = freshNames('lifecycle-servers');
const host = '127.0.0.1';
const certificate = selfSigned();

function keptAlive(t, options = {}) {
  const agent = new http.Agent({ keepAlive: true, ...options });
  t.after(() => agent.destroy());
  return agent;
}

/** A server whose requests wait: `answers` ends them. */
async function waiting(t, lifecycle, create = (listener) => http.createServer(listener)) {
  const answers = [];
  const server = create((_req, res) => answers.push(() => res.end('whole')));
  lifecycle.attach(server);
  return { server, answers, port: await listening(t, server) };
}

test('requests on their way are answered, with which their connections close', async (t) => {
  const lifecycle = new Lifecycle(freshName()).ready();
  const { server, answers, port } = await waiting(t, lifecycle);
  const agent = keptAlive(t);
  const requests = [1, 2, 3].map(() => read(http.get({ port, host, agent })));
  await until(() => answers.length, 3);
  const down = lifecycle.shutdown({ timeout: '10s' });
  await until(() => server.listening, false);
  const refused = net.connect(port, host);
  assert.equal((await once(refused, 'error'))[0].code, 'ECONNREFUSED');
  for (const answer of answers) answer();
  for (const { status, headers, text } of await Promise.all(requests)) {
    assert.deepEqual([status, headers.connection, text], [200, 'close', 'whole']);
  }
  const { drained, forced, connectionsClosed } = await down;
  assert.deepEqual(
    { drained, forced, connectionsClosed },
    { drained: true, forced: 0, connectionsClosed: 3 },
  );
});

test('a request on an open connection is refused with the whole answer', async (t) => {
  const lifecycle = new Lifecycle(freshName()).ready();
  const served = [];
  const server = http.createServer((req, res) => {
    served.push(req.url);
    req.resume().on('end', () => res.end('ok'));
  });
  lifecycle.attach(server);
  const port = await listening(t, server);
  const agents = [0, 1, 2].map(() => keptAlive(t));
  for (const agent of agents) await ask(port, { agent, path: '/before' });
  const down = lifecycle.shutdown();
  await until(() => server.listening, false);
  const [got, head, posted] = await Promise.all([
    ask(port, { agent: agents[0], path: '/after' }),
    ask(port, { agent: agents[1], method: 'HEAD' }),
    ask(port, { agent: agents[2], method: 'POST', body: 'x'.repeat(3_000_000) }),
  ]);
  for (const { status, headers } of [got, head, posted]) {
    assert.deepEqual(
      [status, headers.connection, headers['retry-after'], headers['content-type']],
      [503, 'close', '1', 'application/problem+json'],
    );
  }
  assert.deepEqual(got.json, posted.json);
  assert.equal(head.text, '');
  assert.deepEqual(got.json, {
    type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
    title: 'Temporary Reduced Capacity',
    status: 503,
    detail: 'The server is shutting down.',
    retryAfterMs: 1000,
    'violated-policies': [],
  });
  assert.deepEqual((await down).connectionsClosed, 3);
  assert.deepEqual(served, ['/before', '/before', '/before']);
});

test('who never sends the body of a request is refused, and not waited for', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const { server, port } = await waiting(t, lifecycle);
  const asking = await waiting(t, lifecycle);
  asking.server.on('checkContinue', assert.fail);
  const sockets = [await connect(t, { port, host }), await connect(t, { port: asking.port, host })];
  const down = lifecycle.shutdown({ timeout: '1m' });
  await until(() => server.listening, false);
  const answers = sockets.map(readAll);
  for (const socket of sockets) {
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n');
  }
  const [first, second] = await Promise.all(answers);
  assert.match(first, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 503 Service Unavailable\r\n/);
  assert.match(second, /^HTTP\/1\.1 503 Service Unavailable\r\n/, 'where the server asks, before it is sent');
  assert.equal((await down).drained, true);
});

test('idle connections end by themselves, those never used too, and none is forced', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const server = http.createServer((_req, res) => res.end('ok'));
  lifecycle.attach(server);
  const port = await listening(t, server);
  await ask(port, { agent: keptAlive(t) });
  const unused = await connect(t, { port, host });
  const { drained, connectionsClosed } = await lifecycle.shutdown();
  assert.deepEqual({ drained, connectionsClosed }, { drained: true, connectionsClosed: 2 });
  await unused.gone;
});

test('without any time idle connections end, and requests are forced', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const { answers, port } = await waiting(t, lifecycle);
  await connect(t, { port, host });
  const request = http.get({ port, host });
  const failed = once(request, 'error');
  await until(() => answers.length, 1);
  const { drained, forced, connectionsClosed } = await lifecycle.shutdown({ timeout: 0 });
  assert.deepEqual(
    { drained, forced, connectionsClosed },
    { drained: false, forced: 1, connectionsClosed: 2 },
  );
  assert.equal((await failed)[0].code, 'ECONNRESET');
});

test('an answer that had begun goes to its end, then the connection closes', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  let res;
  const server = http.createServer((_req, response) => {
    res = response;
    res.write('first ');
  });
  lifecycle.attach(server);
  const port = await listening(t, server);
  const answer = read(http.get({ port, host, agent: keptAlive(t) }));
  await until(() => res !== undefined, true);
  const down = lifecycle.shutdown();
  await until(() => server.listening, false);
  res.end('last');
  assert.equal((await answer).text, 'first last');
  assert.deepEqual((await down).drained, true);
});

test('of pipelined requests all are answered that came in time', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const { server, answers, port } = await waiting(t, lifecycle);
  const socket = await connect(t, { port, host });
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  socket.write(request);
  await until(() => answers.length, 1);
  const down = lifecycle.shutdown({ delay: 300 });
  socket.write(request + request);
  await until(() => answers.length, 3);
  await until(() => server.listening, false);
  socket.write(request);
  const everything = readAll(socket);
  await new Promise((resolve) => setTimeout(resolve, 30));
  for (const answer of answers) answer();
  const statuses = (await everything).match(/HTTP\/1\.1 \d+|^Connection: .*$/gm);
  assert.deepEqual(
    statuses.map((line) => line.trim().toLowerCase()),
    [
      ...Array(3).fill(['http/1.1 200', 'connection: keep-alive']),
      ['http/1.1 503', 'connection: close'],
    ].flat(),
  );
  assert.deepEqual([answers.length, (await down).drained], [3, true]);
});

test('work that requests and hooks leave behind is waited for', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const done = [];
  const leave = (what) =>
    lifecycle.track(new Promise((resolve) => setTimeout(resolve, 60)).then(() => done.push(what)));
  const server = http.createServer((_req, res) => {
    setTimeout(() => {
      res.end('ok');
      leave('request');
    }, 60);
  });
  lifecycle.attach(server);
  lifecycle.onShutdown(() => done.push('hook') && leave('work of the hook'), { when: 'drained' });
  lifecycle.onShutdown(() => void leave('work of the other'), { when: 'drained' });
  const port = await listening(t, server);
  const answer = ask(port);
  await once(server, 'request');
  const { tasksLeft } = await lifecycle.shutdown();
  assert.deepEqual(done, ['request', 'hook', 'work of the hook', 'work of the other']);
  assert.deepEqual([tasksLeft, (await answer).text], [0, 'ok']);
});

test('upgraded sockets are left to the application until the deadline', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const lifecycle = new Lifecycle(freshName());
  const server = http.createServer();
  const upgraded = [];
  server.on('upgrade', (_req, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.on('data', (data) => socket.write(data));
    upgraded.push(socket);
  });
  lifecycle.attach(server);
  lifecycle.onShutdown(() => upgraded[0].end('bye'));
  const port = await listening(t, server);
  const handshake = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
  const sockets = [await connect(t, { port, host }), await connect(t, { port, host })];
  for (const socket of sockets) {
    socket.write(handshake);
    await once(socket, 'data');
  }
  const late = await connect(t, { port, host });
  const down = lifecycle.shutdown({ timeout: '5s' });
  assert.equal(String((await once(sockets[0], 'data'))[0]), 'bye');
  late.write(handshake);
  assert.match(await readAll(late), /^HTTP\/1\.1 503 [\s\S]*shutting down/, 'no more are upgraded');
  await new Promise((resolve) => setTimeout(resolve, 250));
  sockets[1].write('still here');
  assert.equal(String((await once(sockets[1], 'data'))[0]), 'still here');
  clock.advance('5s');
  const { drained, forced, connectionsClosed } = await down;
  assert.deepEqual(
    { drained, forced, connectionsClosed },
    { drained: false, forced: 1, connectionsClosed: 3 },
  );
  await sockets[1].gone;
});

test('connections of other protocols are the application`s as well', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const lifecycle = new Lifecycle(freshName());
  const open = [];
  const server = net.createServer((socket) => open.push(socket));
  lifecycle.attach(server);
  lifecycle.signal.addEventListener('abort', () => open[0].end());
  const port = await listening(t, server);
  const [first, second] = [await connect(t, { port, host }), await connect(t, { port, host })];
  await until(() => open.length, 2);
  first.resume();
  const down = lifecycle.shutdown({ timeout: 400 });
  await first.gone;
  clock.advance(400);
  const { drained, forced, connectionsClosed } = await down;
  assert.deepEqual(
    { drained, forced, connectionsClosed },
    { drained: false, forced: 1, connectionsClosed: 2 },
  );
  await Promise.all([first.gone, second.gone]);
});

test('over TLS it is the same', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const { server, answers, port } = await waiting(t, lifecycle, (listener) =>
    https.createServer(certificate, listener),
  );
  const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false });
  t.after(() => agent.destroy());
  const requests = [1, 2].map(() => read(https.get({ port, host, agent })));
  await until(() => answers.length, 2);
  answers[0]();
  await Promise.race(requests);
  const down = lifecycle.shutdown();
  await until(() => server.listening, false);
  const refused = await read(https.get({ port, host, agent }));
  assert.deepEqual([refused.status, refused.headers.connection], [503, 'close']);
  answers[1]();
  assert.deepEqual(
    (await Promise.all(requests)).map(({ text }) => text),
    ['whole', 'whole'],
  );
  const { drained, connectionsClosed } = await down;
  assert.deepEqual({ drained, connectionsClosed }, { drained: true, connectionsClosed: 2 });
});

for (const [title, create, scheme] of [
  ['HTTP/2', (listener) => http2.createServer(listener), 'http'],
  ['HTTP/2 over TLS', (listener) => http2.createSecureServer(certificate, listener), 'https'],
]) {
  test(`${title}: sessions end their streams and close`, async (t) => {
    const lifecycle = new Lifecycle(freshName());
    const { answers, port } = await waiting(t, lifecycle, create);
    const options = { rejectUnauthorized: false };
    const session = http2.connect(`${scheme}://${host}:${port}`, options);
    const idle = http2.connect(`${scheme}://${host}:${port}`, options);
    t.after(() => {
      session.destroy();
      idle.destroy();
    });
    const stream = session.request({ ':path': '/' });
    await Promise.all([once(idle, 'connect'), until(() => answers.length, 1)]);
    const goodbyes = [once(session, 'goaway'), once(idle, 'close')];
    const down = lifecycle.shutdown();
    await Promise.all(goodbyes);
    answers[0]();
    assert.equal(await readAll(stream), 'whole');
    const { drained, forced, connectionsClosed } = await down;
    assert.deepEqual(
      { drained, forced, connectionsClosed },
      { drained: true, forced: 0, connectionsClosed: 2 },
    );
  });
}

test('during the delay servers go on, and tell their clients to connect anew', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const lifecycle = new Lifecycle(freshName()).ready();
  const server = http.createServer((_req, res) => res.end(lifecycle.state));
  lifecycle.attach(server);
  const port = await listening(t, server);
  const agent = keptAlive(t);
  assert.equal((await ask(port, { agent })).headers.connection, 'keep-alive');
  const { signal } = lifecycle;
  const down = lifecycle.shutdown({ delay: '5s', timeout: '1s' });
  await once(signal, 'abort');
  const during = await ask(port, { agent });
  assert.deepEqual([during.text, during.headers.connection], ['draining', 'close']);
  clock.advance(4_999);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal((await ask(port)).text, 'draining');
  clock.advance(1);
  assert.deepEqual((await down).drained, true);
  await assert.rejects(ask(port), { code: 'ECONNREFUSED' });
});

test('a server that is attached late, or listens late, closes with the others', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const early = http.createServer();
  lifecycle.attach(early).attach(early);
  await lifecycle.shutdown();
  const late = http.createServer();
  await listening(t, late);
  lifecycle.attach(late);
  await until(() => late.listening, false);
  early.listen(0, host);
  await once(early, 'close');
});

test('a server attached while it listens counts the connections that it has from their next request', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const server = http.createServer((_req, res) => res.end('ok'));
  const port = await listening(t, server);
  const agent = keptAlive(t);
  await ask(port, { agent });
  lifecycle.attach(server);
  await ask(port, { agent });
  const { drained, connectionsClosed } = await lifecycle.shutdown();
  assert.deepEqual({ drained, connectionsClosed }, { drained: true, connectionsClosed: 1 });
});

test('idle connections from before the server was attached end as the others', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (_req, res) => res.end('ok'));
  const port = await listening(t, server);
  await ask(port, { agent: keptAlive(t) });
  lifecycle.attach(server);
  const { durationMs } = await lifecycle.shutdown({ timeout: '30s' });
  assert.ok(durationMs < 10_000, `${durationMs} ms`);
});

test('a guard before the same server goes on, and may shut down beside it', async (t) => {
  const guard = createGuard(freshName(), { connections: { max: 10 }, reputation: banning() });
  const lifecycle = new Lifecycle(freshName());
  const answers = [];
  const server = http.createServer(async (req, res) => {
    const decision = await guard.check(req);
    answers.push(() => res.writeHead(decision.status ?? 200, decision.headers).end('whole'));
  });
  guard.attach(server);
  lifecycle.attach(server);
  const port = await listening(t, server);
  const answer = read(http.get({ port, host, agent: keptAlive(t) }));
  await until(() => answers.length, 1);
  const downs = [lifecycle.shutdown(), guard.shutdown()];
  await until(() => server.listening, false);
  answers[0]();
  assert.equal((await answer).text, 'whole');
  const [report, ofGuard] = await Promise.all(downs);
  assert.deepEqual([report.drained, ofGuard], [true, { drained: true, forced: 0 }]);
  assert.equal(guard.tracker.count, 0);
});

function banning() {
  return { maxFailures: 5, findTime: '1m', banTime: '1m', maxBanTime: '1h' };
}

const APPLICATIONS = {
  'plain http': async (lifecycle) => {
    const health = lifecycle.health();
    const server = http.createServer((req, res) => health(req, res) || res.end('app'));
    lifecycle.attach(server);
    return server;
  },
  Express: async (lifecycle) => {
    const server = http.createServer(
      express()
        .use(lifecycle.health())
        .use((_req, res) => res.send('app')),
    );
    lifecycle.attach(server);
    return server;
  },
  Fastify: async (lifecycle) => {
    const app = Fastify();
    await app.register(createGuard(freshName(), { rateLimit: { limit: 1, window: '1h' } }).fastify);
    await app.register(lifecycle.fastify);
    app.get('/', { config: { sluice: { rateLimit: false } } }, async () => 'app');
    await app.ready();
    return app.server;
  },
};

for (const [framework, create] of Object.entries(APPLICATIONS)) {
  test(`${framework}: probes see each state`, async (t) => {
    const lifecycle = new Lifecycle(freshName());
    const server = await create(lifecycle);
    const port = await listening(t, server);
    const agent = keptAlive(t, { maxSockets: 3 });
    const probe = async (path, options) => {
      const { status, json, headers } = await ask(port, { path, agent, ...options });
      assert.match(headers['content-type'], /^application\/json/);
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['retry-after'], status === 200 ? undefined : '1');
      return [status, json?.state];
    };
    assert.deepEqual(await probe('/healthz'), [200, 'starting']);
    assert.deepEqual(await probe('/readyz'), [503, 'starting']);
    lifecycle.ready();
    assert.deepEqual(await probe('/readyz?verbose'), [200, 'running']);
    assert.deepEqual(await probe('/readyz', { method: 'HEAD' }), [200, undefined]);
    assert.equal((await ask(port, { agent })).text, 'app');
    const sockets = [keptAlive(t), keptAlive(t), keptAlive(t)];
    for (const socket of sockets) await ask(port, { agent: socket });
    const down = lifecycle.shutdown();
    await until(() => server.listening, false);
    assert.deepEqual(
      await Promise.all([
        probe('/healthz', { agent: sockets[0] }),
        probe('/readyz', { agent: sockets[1] }),
        ask(port, { agent: sockets[2] }).then(({ status, json }) => [status, json.title]),
      ]),
      [
        [200, 'draining'],
        [503, 'draining'],
        [503, 'Temporary Reduced Capacity'],
      ],
    );
    assert.equal((await down).drained, true);
  });
}

test('probes may have other paths, and know the end', async () => {
  const lifecycle = new Lifecycle(freshName());
  const health = lifecycle.health({ livePath: '/live', readyPath: '/ready' });
  const probe = (url, method = 'GET') => {
    const told = {};
    const res = { writeHead: (status) => Object.assign(told, { status }), end() {} };
    return health({ url, method }, res) ? told.status : null;
  };
  await lifecycle.shutdown();
  assert.deepEqual([probe('/live'), probe('/ready'), probe('/healthz')], [503, 503, null]);
  assert.equal(probe('/live', 'POST'), null);
  Lifecycle.destroy(lifecycle.name);
  assert.equal(probe('/live'), 503);
});
