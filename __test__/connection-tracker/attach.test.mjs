// ConnectionTracker.attach: each accepted socket is counted as a connection, or refused before it is served.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import tls from 'node:tls';
import sluice from '../../index.js';
import { selfSigned } from '../helpers/certificate.mjs';
import { freshName, Peer, startPeers } from '../helpers/peer.mjs';
import { closeAsAnswered } from '../helpers/resets.mjs';
import { manualClock } from '../helpers/setup.mjs';
import { connect, listening, readAll, until } from '../helpers/sockets.mjs';

const { ConnectionTracker } = sluice;

const certificate = selfSigned();
const fresh = (options) => new ConnectionTracker(freshName(), options);

/** Node.js closes a connection that has been idle for 5 s by default, which a busy machine may take between two lines. */
const keepAliveTimeout = 60_000;

/** One server per kind. Each answers with 'hello'. */
const KINDS = {
  net: () => net.createServer((socket) => socket.write('hello')),
  tls: () => tls.createServer(certificate, (socket) => socket.write('hello')),
  http: () => http.createServer({ keepAliveTimeout }, (_req, res) => res.end('hello')),
  https: () => https.createServer({ ...certificate, keepAliveTimeout }, (_req, res) => res.end('hello')),
  http2: () => http2.createServer((_req, res) => res.end('hello')),
  'http2 over TLS': () => http2.createSecureServer(certificate, (_req, res) => res.end('hello')),
};

/** A client that has received 'hello'. */
async function connectServed(t, kind, port) {
  if (kind.startsWith('http2')) {
    const scheme = kind === 'http2' ? 'http' : 'https';
    const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false });
    session.on('error', () => {});
    t.after(() => session.destroy());
    assert.equal(await readAll(session.request()), 'hello');
    return session;
  }
  const isTls = kind === 'tls' || kind === 'https';
  const socket = isTls
    ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  if (kind.startsWith('http')) socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    if (String(chunk).includes('hello')) break;
  }
  return socket;
}

/** Resolves when a client has closed: one of TLS may end with a reset, which is an error. */
const closed = (client) => new Promise((resolve) => client.once('error', () => {}).once('close', resolve));

for (const [kind, create] of Object.entries(KINDS)) {
  test(`${kind}: sockets over max are closed at accept, the others are counted`, async (t) => {
    const tracker = fresh({ max: 2 });
    const server = create();
    tracker.attach(server);
    const port = await listening(t, server);
    const sockets = [await connectServed(t, kind, port), await connectServed(t, kind, port)];
    assert.deepEqual([tracker.count, tracker.countFor('127.0.0.1')], [2, 2]);

    const refused = await connect(t, { port, host: '127.0.0.1' });
    refused.resume();
    await refused.gone;
    assert.deepEqual([tracker.count, tracker.stats().refused.max], [2, 1]);

    sockets[0].destroy();
    await until(() => tracker.count, 1);
    await connectServed(t, kind, port);
    assert.deepEqual([tracker.count, tracker.stats().opened], [2, 3]);
  });

  test(`${kind}: closing a connection from another thread closes its socket`, async (t) => {
    const [peer] = startPeers(t, 1);
    const tracker = fresh({});
    const server = create();
    tracker.attach(server);
    const client = await connectServed(t, kind, await listening(t, server));
    const gone = closed(client);
    const [{ id }] = tracker.list();
    const close = ({ load }, [name, id]) => new (load().ConnectionTracker)(name).close(id);
    assert.equal(await peer.run(close, [tracker.name, id]), true);
    assert.equal(tracker.count, 0, 'a closed connection is not counted');
    await gone;
  });
}

test('http: a refused client receives the complete problem response even while it sends a body', async (t) => {
  const tracker = fresh({ maxPerClient: 1 });
  const server = http.createServer(() => assert.fail('a refused request was served'));
  tracker.attach(server, { refusedBody: { timeout: '1m' } });
  const port = await listening(t, server);
  await connect(t, { port, host: '127.0.0.1' });
  await until(() => tracker.count, 1);
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => socket.destroy());
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`);
  const [head, body] = (await readAll(socket)).split('\r\n\r\n');
  const [status, ...headers] = head.split('\r\n');
  assert.equal(status, 'HTTP/1.1 503 Service Unavailable');
  assert.ok(headers.includes('Connection: close'));
  assert.ok(headers.includes('Content-Type: application/problem+json'));
  assert.ok(headers.includes(`Content-Length: ${Buffer.byteLength(body)}`));
  assert.ok(headers.some((header) => /^Retry-After: [1-9]\d*$/.test(header)));
  const problem = JSON.parse(body);
  assert.match(problem.type, /#temporary-reduced-capacity$/);
  assert.deepEqual([problem.status, problem['violated-policies']], [503, ['maxPerClient']]);
});

test('http: a refusal by opens carries Retry-After and retryAfterMs', async (t) => {
  manualClock(t);
  const tracker = fresh({ opens: { limit: 1, window: '1h' } });
  const server = http.createServer();
  tracker.attach(server);
  const port = await listening(t, server);
  (await connect(t, { port, host: '127.0.0.1' })).destroy();
  const [head, body] = (await readAll(await connect(t, { port, host: '127.0.0.1' }))).split('\r\n\r\n');
  assert.match(head, /^Retry-After: 3600$/m);
  assert.equal(JSON.parse(body).retryAfterMs, 3_600_000);
});

test('onRefused receives the reason and may send its own answer', async (t) => {
  const tracker = fresh({ max: 1 });
  const refusals = [];
  const server = net.createServer();
  tracker.attach(server, {
    onRefused: (socket, refusal) => {
      refusals.push(refusal);
      socket.end('421 too many\r\n');
    },
  });
  const port = await listening(t, server);
  await connect(t, { port, host: '127.0.0.1' });
  await until(() => tracker.count, 1);
  assert.equal(await readAll(await connect(t, { port, host: '127.0.0.1' })), '421 too many\r\n');
  assert.deepEqual(refusals, [{ reason: 'max', client: '127.0.0.1', retryAfterMs: 0 }]);
});

test('when onRefused throws, the socket gets the default refusal and the process one warning', {
  timeout: 30_000,
}, async (t) => {
  const peer = new Peer({ stderr: true });
  t.after(() => peer.end());
  const port = await peer.run(({ load, require, state }) => {
    const tracker = new (load().ConnectionTracker)('onRefused that throws', { max: 1 });
    const server = require('node:net').createServer((socket) => socket.write('served'));
    tracker.attach(server, {
      onRefused: () => {
        throw new Error('thrown by onRefused');
      },
    });
    state.warnings = [];
    process.on('warning', ({ code, message }) => state.warnings.push([code, message]));
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
  });
  await once(await connect(t, { port, host: '127.0.0.1' }), 'data');
  for (let i = 0; i < 3; i++) assert.equal(await readAll(await connect(t, { port, host: '127.0.0.1' })), '');
  const message =
    'ConnectionTracker "onRefused that throws" onRefused failed; sockets get the default refusal: thrown by onRefused';
  assert.deepEqual(await peer.run(({ state }) => state.warnings), [['SLUICE_ON_REFUSED', message]]);
});

test('a connection over a unix socket has no client and counts towards max only', {
  skip: process.platform === 'win32',
}, async (t) => {
  const tracker = fresh({ max: 3, maxPerClient: 1, opens: { limit: 1, window: '1h' } });
  const server = net.createServer();
  tracker.attach(server);
  const where = { path: path.join(os.tmpdir(), `${freshName()}.sock`) };
  await listening(t, server, where);
  for (let i = 1; i <= 3; i++) {
    await connect(t, where);
    await until(() => tracker.count, i);
  }
  assert.ok(tracker.list().every(({ client }) => client === null));
  await (await connect(t, where)).gone;
  assert.deepEqual(tracker.stats().refused, { max: 1, maxPerClient: 0, opens: 0, banned: 0 });
});

test('trusted proxies are exempt from per-client limits, not from max', async (t) => {
  const tracker = fresh({ max: 4, maxPerClient: 1 });
  const server = net.createServer();
  tracker.attach(server, { trustedProxies: ['127.0.0.2/32', '10.0.0.0/8'] });
  const port = await listening(t, server);
  const from = (localAddress) => connect(t, { port, host: '127.0.0.1', localAddress });
  for (let i = 1; i <= 3; i++) {
    await from('127.0.0.2');
    await until(() => tracker.count, i);
  }
  assert.equal(tracker.countFor('127.0.0.2'), 0);
  await from('127.0.0.3');
  await until(() => tracker.count, 4);
  await (await from('127.0.0.2')).gone;
  assert.deepEqual(tracker.stats().refused, { max: 1, maxPerClient: 0, opens: 0, banned: 0 });
});

test('attaching a server twice counts its connections once', async (t) => {
  const tracker = fresh({});
  const server = net.createServer();
  tracker.attach(server);
  new ConnectionTracker(tracker.name).attach(server);
  const port = await listening(t, server);
  const socket = await connect(t, { port, host: '127.0.0.1' });
  await until(() => tracker.count, 1);
  socket.destroy();
  await until(() => tracker.count, 0);
  assert.equal(tracker.stats().opened, 1);
});

test('several trackers on one server each count, and each apply their own limits', async (t) => {
  const [wide, narrow] = [fresh({}), fresh({ max: 1 })];
  const server = net.createServer();
  wide.attach(server);
  narrow.attach(server);
  const port = await listening(t, server);
  await connect(t, { port, host: '127.0.0.1' });
  await until(() => wide.count, 1);
  await (await connect(t, { port, host: '127.0.0.1' })).gone;
  await until(() => wide.count, 1);
  assert.equal(narrow.count, 1);
});

test('a destroyed tracker admits every socket, with a warning', async (t) => {
  const tracker = fresh({ max: 1 });
  const server = net.createServer((socket) => socket.end('served'));
  tracker.attach(server);
  const port = await listening(t, server);
  ConnectionTracker.destroy(tracker.name);
  const warned = once(process, 'warning');
  assert.equal(await readAll(await connect(t, { port, host: '127.0.0.1' })), 'served');
  const [warning] = await warned;
  assert.deepEqual([warning.name, warning.code], ['SluiceWarning', 'ERR_SLUICE_CLOSED']);
});

test('HTTP/2: a stream that its client closed just as it was answered leaves its connection idle', async (t) => {
  const tracker = fresh({ max: 2 });
  const server = http2.createServer();
  tracker.attach(server);
  const session = http2.connect(`http://127.0.0.1:${await listening(t, server)}`);
  const closed = once(session, 'close');
  const stream = session.request({ ':path': '/' });
  stream.on('error', () => {}).resume();
  const [, res] = await once(server, 'request');
  const { stream: served } = res;
  await closeAsAnswered(stream, () => res.end('hello'));
  await until(() => served.destroyed, true);
  assert.equal(tracker.closeIdle(0), 1);
  await closed;
});

test('closeIdle closes idle sockets of all threads, and none with a request in progress', async (t) => {
  const clock = manualClock(t);
  const [peer] = startPeers(t, 1);
  const tracker = fresh({});
  const peerPort = await peer.run(({ load, require }, name) => {
    const server = require('node:net').createServer((socket) => socket.write('hello'));
    new (load().ConnectionTracker)(name).attach(server);
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
  }, tracker.name);
  const remote = await connectServed(t, 'net', peerPort);
  const remoteClosed = closed(remote);

  for (const kind of ['http', 'https', 'http2', 'http2 over TLS']) {
    const server = KINDS[kind]();
    let pending;
    server.removeAllListeners('request');
    server.on('request', (_req, res) => {
      if (pending === undefined) {
        pending = res;
        res.write('wait…');
      } else res.end('hello');
    });
    tracker.attach(server);
    const port = await listening(t, server);
    const busy = connectServed(t, kind, port);
    await until(() => pending !== undefined, true);
    for (const idleFor of ['30m', 0]) {
      const idle = await connectServed(t, kind, port);
      const idleClosed = closed(idle);
      clock.advance('1h');
      tracker.closeIdle(idleFor);
      await idleClosed;
    }
    await until(() => tracker.count, 1);
    const responseClosed = once(pending, 'close');
    pending.end('hello');
    if (kind.startsWith('http2')) await assert.rejects(busy, /wait…hello/);
    else await busy;
    await responseClosed;
    assert.equal(tracker.count, 1, `${kind}: the connection with a request is still open`);
    clock.advance('1h');
    assert.equal(tracker.closeIdle('30m'), 1);
    await until(() => tracker.count, 0);
  }
  await remoteClosed;
});

test('attach rejects a value that is not a server, and invalid options', () => {
  const tracker = fresh({});
  const invalid = (message) => ({ code: 'ERR_SLUICE_INVALID_OPTION', message });
  for (const server of [undefined, null, {}, 80, 'http']) {
    assert.throws(
      () => tracker.attach(server),
      invalid(/^attach server is .*; accepted: a server of net, tls, http/),
    );
  }
  const server = net.createServer();
  assert.throws(
    () => tracker.attach(server, { onRefused: true }),
    invalid(/onRefused is true; accepted: a function/),
  );
  assert.throws(() => tracker.attach(server, { trustedProxies: '10.0.0.0/8' }), invalid(/trustedProxies is/));
  assert.throws(() => tracker.attach(server, { proxies: [] }), invalid(/has no option "proxies"/));
  assert.throws(() => tracker.attach(server, { trustedProxies: ['10.0.0.1/8'] }), {
    code: 'ERR_SLUICE_INVALID_ADDRESS',
    message: /trustedProxies contains "10\.0\.0\.1\/8"/,
  });
});

/** The codes of process warnings that name the tracker. */
function warningsOf(t, name) {
  const warnings = [];
  const collect = (warning) => {
    if (warning.message.includes(JSON.stringify(name))) warnings.push(warning.code);
  };
  process.on('warning', collect);
  t.after(() => process.off('warning', collect));
  return warnings;
}

for (const when of ['before this thread is notified', 'after this thread was notified']) {
  test(`a tracker destroyed on a live server admits every socket and warns once, ${when}`, async (t) => {
    const tracker = fresh({ max: 1 });
    const warnings = warningsOf(t, tracker.name);
    const server = net.createServer((socket) => socket.write('hello'));
    tracker.attach(server);
    const port = await listening(t, server);
    await connectServed(t, 'net', port);
    ConnectionTracker.destroy(tracker.name);
    if (when.startsWith('after')) await new Promise((done) => setTimeout(done, 20));
    for (let i = 0; i < 5; i++) await connectServed(t, 'net', port);
    await until(() => warnings.length, 1);
    assert.deepEqual(warnings, ['ERR_SLUICE_CLOSED']);
  });
}

test('a server attached to a recreated tracker is counted again, without a warning', async (t) => {
  const server = net.createServer((socket) => socket.write('hello'));
  const port = await listening(t, server);
  const name = freshName();
  const warnings = warningsOf(t, name);
  for (let i = 0; i < 2_000; i++) {
    new ConnectionTracker(name, { max: 1 }).attach(server);
    ConnectionTracker.destroy(name);
  }
  const tracker = new ConnectionTracker(name, { max: 1 }).attach(server);
  await new Promise((done) => setTimeout(done, 20));
  await connectServed(t, 'net', port);
  assert.deepEqual([tracker.count, tracker.stats().opened, warnings], [1, 1, []]);
});
