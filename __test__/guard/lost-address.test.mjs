// Clients that reset their connections before their address could be read: they are not served.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import tls from 'node:tls';
import sluice from '../../index.js';
import { selfSigned } from '../helpers/certificate.mjs';
import { FRAMEWORKS, serveGuarded } from '../helpers/guarded.mjs';
import { ask } from '../helpers/http.mjs';
import { resetTlsWhileBusy, resetWhileBusy, settled } from '../helpers/resets.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { listening, readAll, until } from '../helpers/sockets.mjs';

const { ConnectionTracker, createGuard } = sluice;

const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const COUNT = 20;
const VISITOR = '127.0.0.9';

const certificate = selfSigned();
const freshName = freshNames('guard-lost-address');
stopClock();

for (const framework of FRAMEWORKS) {
  for (const [what, options] of Object.entries({
    'a ban': { reputation: BANS, rateLimit: false },
    maxPerClient: { connections: { maxPerClient: 1 }, rateLimit: false },
    'a limit': { rateLimit: { limit: 100, window: '1m' } },
  })) {
    test(`${framework}: a reset connection does not evade ${what}`, async (t) => {
      const guard = createGuard(freshName(), options);
      const { port } = await serveGuarded(t, framework, guard);
      // Express attaches its server with the first request.
      assert.equal((await ask(port, { from: VISITOR })).status, 200);
      await resetWhileBusy(port, { count: COUNT });
      await settled();
      assert.equal((await ask(port, { from: VISITOR })).status, 200);
      assert.equal(guard.stats().allowed, 2, 'only the visitor is served');
      assert.equal(guard.stats().faults, 0);
      if (guard.tracker !== null) await until(() => guard.tracker.count, 0);
    });
  }
}

test('a server that is not attached yet destroys such connections with their first request', async (t) => {
  const guard = createGuard(freshName(), { reputation: BANS });
  const { port } = await serveGuarded(t, 'Express 5', guard);
  await resetWhileBusy(port, { count: COUNT });
  await until(() => guard.stats().refusedBy.connections + guard.stats().refusedAtAccept, COUNT);
  assert.equal(guard.stats().allowed, 0);
});

test('dryRun counts such requests and serves them', async (t) => {
  const guard = createGuard(freshName(), { reputation: BANS, dryRun: true });
  const { port } = await serveGuarded(t, 'plain http', guard);
  await resetWhileBusy(port, { count: 3 });
  await until(() => guard.stats().dryRefused, 3);
  assert.deepEqual([guard.stats().allowed, guard.stats().refusedAtAccept], [3, 0]);
});

for (const [kind, create] of Object.entries({
  net: (serve) => net.createServer(serve),
  tls: (serve) => tls.createServer(certificate, serve),
  http: (serve) => http.createServer(serve),
  https: (serve) => https.createServer(certificate, serve),
  http2: (serve) => http2.createServer(serve),
  'http2 over TLS': (serve) => http2.createSecureServer(certificate, serve),
})) {
  test(`a tracker on a server of ${kind} drops connections without an address`, async (t) => {
    const tracker = new ConnectionTracker(freshName(), { maxPerClient: 1 });
    let served = 0;
    const server = create(() => {
      served += 1;
    });
    tracker.attach(server);
    const port = await listening(t, server);
    await resetWhileBusy(port, { count: COUNT });
    await until(() => tracker.stats().withoutAddress, COUNT);
    const { opened, refused } = tracker.stats();
    assert.deepEqual([served, opened, refused.maxPerClient], [0, 0, 0]);
  });
}

describe('the address read at accept is kept', () => {
  test('for a TLS connection that is reset after its request', async (t) => {
    const guard = createGuard(freshName(), { reputation: BANS, rateLimit: false });
    const statuses = [];
    const server = https.createServer(certificate, (req, res) => {
      const { status = 200 } = guard.check(req, res);
      statuses.push(status);
      res.writeHead(status).end();
    });
    guard.attach(server);
    let secured = 0;
    server.on('secureConnection', () => {
      secured += 1;
    });
    const port = await listening(t, server);
    await resetTlsWhileBusy(port, {
      count: 5,
      before: async () => {
        await until(() => secured, 5);
        guard.reputation.ban('127.0.0.1', { duration: '1m' });
      },
    });
    await until(() => statuses.length, 5);
    assert.deepEqual(statuses, Array(5).fill(403));
  });

  test('for an HTTP/2 request whose connection is closed', async (t) => {
    const guard = createGuard(freshName(), { reputation: BANS, rateLimit: false });
    let address;
    const server = http2.createServer(async (req, res) => {
      guard.check(req, res);
      await once(req.stream, 'close');
      guard.record(req, 'login-failed');
      address = guard.clientOf(req).address;
    });
    guard.attach(server);
    const session = http2.connect(`http://127.0.0.1:${await listening(t, server)}`);
    session.on('error', () => {});
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    await once(server, 'request');
    session.destroy();
    await until(() => address, '127.0.0.1');
    assert.equal(guard.reputation.check('127.0.0.1').failures, 1);
  });

  test('for each HTTP/2 request after check, also when the server is not attached', async (t) => {
    const guard = createGuard(freshName(), { reputation: { ...BANS, maxFailures: 9 } });
    guard.attach = () => guard;
    const server = http2.createServer(async (req, res) => {
      guard.check(req, res);
      await once(req.stream, 'close');
      guard.record(req, 'login-failed');
    });
    const session = http2.connect(`http://127.0.0.1:${await listening(t, server)}`);
    t.after(() => session.destroy());
    for (let failures = 1; failures <= 3; failures++) {
      const stream = session.request({ ':path': '/' });
      stream.on('error', () => {});
      await once(server, 'request');
      stream.close(http2.constants.NGHTTP2_CANCEL);
      await until(() => guard.reputation.check('127.0.0.1').failures, failures);
    }
  });

  test('for an HTTP/2 request first checked after its connection has closed', async (t) => {
    const guard = createGuard(freshName(), { reputation: BANS, rateLimit: false });
    guard.reputation.ban('127.0.0.1', { duration: '1m' });
    const statuses = [];
    const server = http2.createServer(async (req, res) => {
      await once(req.stream, 'close');
      statuses.push(guard.check(req, res).status);
    });
    // Another guard is attached; the addresses that it keeps are available to all guards.
    createGuard(freshName()).attach(server);
    const session = http2.connect(`http://127.0.0.1:${await listening(t, server)}`);
    session.on('error', () => {});
    session.request({ ':path': '/' }).on('error', () => {});
    await once(server, 'request');
    session.destroy();
    await until(() => statuses.length, 1);
    assert.deepEqual(statuses, [403]);
    assert.equal(guard.stats().faults, 0);
  });
});

describe('connections that never have an address', () => {
  test('a stream that is not a socket has the client unknown, without a warning about Unix sockets', async (t) => {
    const guard = createGuard(freshName(), { rateLimit: { limit: 1, window: '1m' } });
    const seen = [];
    const server = http.createServer((req, res) => {
      const { status = 200, client, body } = guard.check(req);
      seen.push([status, client.key]);
      res.writeHead(status).end(body);
    });
    guard.attach(server);
    const warnings = [];
    const onWarning = ({ code }) => warnings.push(code);
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    for (let i = 0; i < 2; i++) {
      const [client, serverSide] = pair();
      server.emit('connection', serverSide);
      client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      await readAll(client);
    }
    assert.deepEqual(seen, [
      [200, 'unknown'],
      [429, 'unknown'],
    ]);
    assert.equal(guard.limiter.peek('unknown').remaining, 0);
    assert.deepEqual(warnings, []);
  });
});

/** Two connected streams. */
function pair() {
  const sides = [0, 1].map(
    (own) =>
      new Duplex({
        read() {},
        write(chunk, _encoding, done) {
          sides[1 - own].push(chunk);
          done();
        },
        final(done) {
          sides[1 - own].push(null);
          done();
        },
      }),
  );
  return sides;
}
