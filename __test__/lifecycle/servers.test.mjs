// Lifecycle and attached servers: which requests and connections are answered, refused, left open or closed in a
// shutdown.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import sluice from '../../index.js';
import { selfSigned } from '../helpers/certificate.mjs';
import { ask, keepAliveAgent, read } from '../helpers/http.mjs';
import { freshNames, manualClock } from '../helpers/setup.mjs';
import { connect, listening, readAll, until } from '../helpers/sockets.mjs';

const { Lifecycle, createGuard } = sluice;

const freshName = freshNames('lifecycle-servers');
const host = '127.0.0.1';
const certificate = selfSigned();

/** A server whose requests stay pending until one of `answers` is called. */
async function startPending(t, lifecycle, create = (listener) => http.createServer(listener)) {
  const answers = [];
  const server = create((_req, res) => answers.push(() => res.end('whole')));
  lifecycle.attach(server);
  return { server, answers, port: await listening(t, server) };
}

test('requests in flight are answered, and their connections close', async (t) => {
  const lifecycle = new Lifecycle(freshName()).ready();
  const { server, answers, port } = await startPending(t, lifecycle);
  const agent = keepAliveAgent(t);
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

test('a request on an open connection gets the complete 503 response', async (t) => {
  const lifecycle = new Lifecycle(freshName()).ready();
  const served = [];
  const server = http.createServer((req, res) => {
    served.push(req.url);
    req.resume().on('end', () => res.end('ok'));
  });
  lifecycle.attach(server);
  const port = await listening(t, server);
  const agents = [0, 1, 2].map(() => keepAliveAgent(t));
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

test('a request whose body never arrives gets 503 and is not waited for', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const { server, port } = await startPending(t, lifecycle);
  const withCheckContinue = await startPending(t, lifecycle);
  withCheckContinue.server.on('checkContinue', assert.fail);
  const sockets = [
    await connect(t, { port, host }),
    await connect(t, { port: withCheckContinue.port, host }),
  ];
  const down = lifecycle.shutdown({ timeout: '1m' });
  await until(() => server.listening, false);
  const answers = sockets.map(readAll);
  for (const socket of sockets) {
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n');
  }
  const [first, second] = await Promise.all(answers);
  assert.match(first, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 503 Service Unavailable\r\n/);
  assert.match(
    second,
    /^HTTP\/1\.1 503 Service Unavailable\r\n/,
    'with a checkContinue listener, before the body is sent',
  );
  assert.equal((await down).drained, true);
});

test('idle and unused connections are closed without counting as forced', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const server = http.createServer((_req, res) => res.end('ok'));
  lifecycle.attach(server);
  const port = await listening(t, server);
  await ask(port, { agent: keepAliveAgent(t) });
  const unused = await connect(t, { port, host });
  const { drained, connectionsClosed } = await lifecycle.shutdown();
  assert.deepEqual({ drained, connectionsClosed }, { drained: true, connectionsClosed: 2 });
  await unused.gone;
});

test('with timeout 0 idle connections are closed and requests are forced', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const { answers, port } = await startPending(t, lifecycle);
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

test('a started response is completed before the connection closes', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  let res;
  const server = http.createServer((_req, response) => {
    res = response;
    res.write('first ');
  });
  lifecycle.attach(server);
  const port = await listening(t, server);
  const answer = read(http.get({ port, host, agent: keepAliveAgent(t) }));
  await until(() => res !== undefined, true);
  const down = lifecycle.shutdown();
  await until(() => server.listening, false);
  res.end('last');
  assert.equal((await answer).text, 'first last');
  assert.deepEqual((await down).drained, true);
});

test('pipelined requests that arrived in time are answered, later ones get 503', async (t) => {
  const clock = manualClock(t);
  const lifecycle = new Lifecycle(freshName());
  const { server, answers, port } = await startPending(t, lifecycle);
  let accepted;
  server.once('connection', (socket) => {
    accepted = socket;
  });
  const socket = await connect(t, { port, host });
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  socket.write(request);
  await until(() => answers.length, 1);
  const down = lifecycle.shutdown({ delay: '5s' });
  socket.write(request + request);
  await until(() => answers.length, 3);
  clock.advance('5s');
  await until(() => server.listening, false);
  socket.write(request);
  const received = readAll(socket);
  await until(() => accepted.bytesRead, 4 * request.length);
  for (const answer of answers) answer();
  const statuses = (await received).match(/HTTP\/1\.1 \d+|^Connection: .*$/gm);
  assert.deepEqual(
    statuses.map((line) => line.trim().toLowerCase()),
    [
      ...Array(3).fill(['http/1.1 200', 'connection: keep-alive']),
      ['http/1.1 503', 'connection: close'],
    ].flat(),
  );
  assert.deepEqual([answers.length, (await down).drained], [3, true]);
});

test('shutdown waits for work tracked by requests and hooks', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const done = [];
  const trackWork = (what) =>
    lifecycle.track(new Promise((resolve) => setTimeout(resolve, 60)).then(() => done.push(what)));
  const server = http.createServer((_req, res) => {
    setTimeout(() => {
      res.end('ok');
      trackWork('request');
    }, 60);
  });
  lifecycle.attach(server);
  lifecycle.onShutdown(() => done.push('hook') && trackWork('work of the hook'), { when: 'drained' });
  lifecycle.onShutdown(() => void trackWork('work of the other'), { when: 'drained' });
  const port = await listening(t, server);
  const answer = ask(port);
  await once(server, 'request');
  const { tasksLeft } = await lifecycle.shutdown();
  assert.deepEqual(done, ['request', 'hook', 'work of the hook', 'work of the other']);
  assert.deepEqual([tasksLeft, (await answer).text], [0, 'ok']);
});

test('upgraded sockets stay open for the application until the deadline', async (t) => {
  const clock = manualClock(t);
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
  assert.match(await readAll(late), /^HTTP\/1\.1 503 [\s\S]*shutting down/, 'later upgrades are refused');
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

test('connections of other protocols stay open for the application until the deadline', async (t) => {
  const clock = manualClock(t);
  const lifecycle = new Lifecycle(freshName());
  const open = [];
  const server = net.createServer((socket) => open.push(socket));
  lifecycle.attach(server);
  lifecycle.signal.addEventListener('abort', () => open[0].end());
  const port = await listening(t, server);
  const [first, second] = [await connect(t, { port, host }), await connect(t, { port, host })];
  await until(() => open.length, 2);
  const closed = once(open[0], 'close');
  first.resume();
  const down = lifecycle.shutdown({ timeout: 400 });
  // Its client may know of it before the server does.
  await Promise.all([first.gone, closed]);
  clock.advance(400);
  const { drained, forced, connectionsClosed } = await down;
  assert.deepEqual(
    { drained, forced, connectionsClosed },
    { drained: false, forced: 1, connectionsClosed: 2 },
  );
  await Promise.all([first.gone, second.gone]);
});

test('over TLS requests in flight are answered and later ones get 503', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const { server, answers, port } = await startPending(t, lifecycle, (listener) =>
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
  test(`${title}: sessions complete their streams and close`, async (t) => {
    const lifecycle = new Lifecycle(freshName());
    const { answers, port } = await startPending(t, lifecycle, create);
    const options = { rejectUnauthorized: false };
    const session = http2.connect(`${scheme}://${host}:${port}`, options);
    const idle = http2.connect(`${scheme}://${host}:${port}`, options);
    t.after(() => {
      session.destroy();
      idle.destroy();
    });
    const stream = session.request({ ':path': '/' });
    await Promise.all([once(idle, 'connect'), until(() => answers.length, 1)]);
    const announced = [once(session, 'goaway'), once(idle, 'close')];
    const down = lifecycle.shutdown();
    await Promise.all(announced);
    answers[0]();
    assert.equal(await readAll(stream), 'whole');
    const { drained, forced, connectionsClosed } = await down;
    assert.deepEqual(
      { drained, forced, connectionsClosed },
      { drained: true, forced: 0, connectionsClosed: 2 },
    );
  });
}

test('during delay servers keep answering, with Connection: close', async (t) => {
  const clock = manualClock(t);
  const lifecycle = new Lifecycle(freshName()).ready();
  const server = http.createServer((_req, res) => res.end(lifecycle.state));
  lifecycle.attach(server);
  const port = await listening(t, server);
  const agent = keepAliveAgent(t);
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

test('a server attached after the shutdown, or listening after it, is closed', async (t) => {
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

test('attaching a listening server counts each existing connection from its next request', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const server = http.createServer((_req, res) => res.end('ok'));
  const port = await listening(t, server);
  const agent = keepAliveAgent(t);
  await ask(port, { agent });
  lifecycle.attach(server);
  await ask(port, { agent });
  const { drained, connectionsClosed } = await lifecycle.shutdown();
  assert.deepEqual({ drained, connectionsClosed }, { drained: true, connectionsClosed: 1 });
});

test('idle connections from before attach are closed too', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (_req, res) => res.end('ok'));
  const port = await listening(t, server);
  await ask(port, { agent: keepAliveAgent(t) });
  lifecycle.attach(server);
  const { durationMs } = await lifecycle.shutdown({ timeout: '30s' });
  assert.ok(durationMs < 10_000, `${durationMs} ms`);
});

test('a guard on the same server keeps working, and both may shut down together', async (t) => {
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
  const answer = read(http.get({ port, host, agent: keepAliveAgent(t) }));
  await until(() => answers.length, 1);
  const downs = [lifecycle.shutdown(), guard.shutdown()];
  await until(() => server.listening, false);
  answers[0]();
  assert.equal((await answer).text, 'whole');
  const [report, guardReport] = await Promise.all(downs);
  assert.deepEqual([report.drained, guardReport], [true, { drained: true, forced: 0 }]);
  assert.equal(guard.tracker.count, 0);
});

function banning() {
  return { maxFailures: 5, findTime: '1m', banTime: '1m', maxBanTime: '1h' };
}
