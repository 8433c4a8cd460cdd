// A shutdown ends within its timeout, whatever its connections have sent: on every runtime, and with every kind of server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import sluice from '../../index.js';
import { selfSigned } from '../helpers/certificate.mjs';
import { connect, listening } from '../helpers/sockets.mjs';

const { Lifecycle } = sluice;

const host = '127.0.0.1';
const certificate = selfSigned();
const answer = (_req, res) => res.end('served');

/** The beginning of a record of TLS, of 512 bytes. */
const HANDSHAKE = Buffer.from([22, 3, 1, 2, 0, 1]);

const SERVERS = {
  net: { create: () => net.createServer(() => {}), begin: 'a' },
  tls: { create: () => tls.createServer(certificate, () => {}), begin: HANDSHAKE },
  http: { create: () => http.createServer(answer), begin: 'GET / HT' },
  https: { create: () => https.createServer(certificate, answer), begin: HANDSHAKE },
  http2: { create: () => http2.createServer(answer), begin: 'PRI * HT' },
  'http2 over TLS': { create: () => http2.createSecureServer(certificate, answer), begin: HANDSHAKE },
};

for (const [kind, { create, begin }] of Object.entries(SERVERS)) {
  test(`${kind}: a shutdown with an incomplete head or handshake ends within its timeout`, async (t) => {
    const lifecycle = new Lifecycle(`lifecycle-incomplete-${kind}`).ready();
    const server = create();
    lifecycle.attach(server);
    const port = await listening(t, server);
    const idle = await connect(t, { port, host });
    const begun = await connect(t, { port, host });
    for (const socket of [idle, begun]) socket.on('error', () => {}).resume();
    await new Promise((resolve) => begun.write(begin, resolve));
    const report = await lifecycle.shutdown({ timeout: 1000 });
    assert.equal(lifecycle.state, 'stopped');
    assert.ok(report.durationMs < 30_000, `${report.durationMs} ms`);
    const late = net.connect(port, host);
    await assert.rejects(once(late, 'connect'), { code: 'ECONNREFUSED' });
  });
}
