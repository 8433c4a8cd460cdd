// Encrypted connections to a real server. Its certificate is always verified, and what is wrong with it is said in words.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import sluice from '../../index.js';
import { makeAuthority } from '../helpers/certificate.mjs';
import { freshName } from '../helpers/peer.mjs';
import { freePort, startRedis, withRedis } from '../helpers/redis.mjs';

const { RateLimiter } = sluice;

const authority = makeAuthority();
const foreign = makeAuthority('another authority');

/** A server that encrypts, with this certificate. `asksClients`: they must have one of the authority. */
async function startTls(t, { cert, key }, { asksClients = false } = {}) {
  const directory = mkdtempSync(path.join(tmpdir(), 'sluice-tls-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = (name, text) => {
    writeFileSync(path.join(directory, name), text, { mode: 0o600 });
    return path.join(directory, name);
  };
  const port = await freePort();
  await startRedis(t, {
    args: [
      ...['--tls-port', `${port}`, '--tls-auth-clients', asksClients ? 'yes' : 'no'],
      ...['--tls-cert-file', file('cert.pem', cert), '--tls-key-file', file('key.pem', key)],
      ...['--tls-ca-cert-file', file('ca.pem', authority.cert)],
    ],
  });
  return `rediss://127.0.0.1:${port}`;
}

const open = (redis) =>
  new RateLimiter(freshName(), { limit: 3, window: '1h', scope: { redis, onError: 'deny', timeout: '5s' } });

async function decides(redis) {
  const limiter = open(redis);
  await limiter.ready({ timeout: '20s' });
  const decisions = await Promise.all([1, 2, 3, 4].map(() => limiter.consumeAsync('a')));
  assert.deepEqual(
    decisions.map(({ allowed, source }) => [allowed, source]),
    [true, true, true, false].map((allowed) => [allowed, 'redis']),
  );
}

/** Nothing is decided by the server, `lastError` says why, and nothing of a key or a certificate is in it. */
async function refuses(redis, message) {
  const limiter = open(redis);
  assert.equal((await limiter.consumeAsync('a')).source, 'deny');
  const { lastError, server } = limiter.stats().fleet;
  assert.match(lastError, message);
  assert.ok(lastError.includes(server));
  for (const secret of [redis.tls?.key, redis.tls?.cert, redis.tls?.ca]) {
    if (secret !== undefined) assert.ok(!lastError.includes(String(secret).split('\n')[1]));
  }
  await assert.rejects(limiter.ready({ timeout: 50 }), { code: 'ERR_SLUICE_SCOPE_UNAVAILABLE', message });
}

test('a private authority, as text or a Buffer', withRedis, async (t) => {
  const url = await startTls(t, authority.issue());
  await decides({ url, tls: { ca: authority.cert } });
  await decides({ url, tls: { ca: Buffer.from(foreign.cert + authority.cert) } });
  // What encrypts may also be said beside the url.
  await decides({ url: url.replace('rediss:', 'redis:'), tls: { ca: authority.cert } });
});

test('an authority that is not trusted', withRedis, async (t) => {
  const url = await startTls(t, authority.issue());
  const untrusted = /has a certificate of an authority that is not trusted; trusted: those of tls\.ca/;
  await refuses({ url, tls: { ca: foreign.cert } }, untrusted);
  await refuses(url, untrusted);
});

test('a certificate for another name, unless that is the one to expect', withRedis, async (t) => {
  const url = await startTls(t, authority.issue(['cache.example']));
  await refuses(
    { url, tls: { ca: authority.cert } },
    /has a certificate for another name; accepted: the host/,
  );
  await refuses(
    { url, tls: { ca: authority.cert, servername: 'other.example' } },
    /has a certificate for another name/,
  );
  await decides({ url, tls: { ca: authority.cert, servername: 'cache.example' } });
});

test('a certificate that has expired', withRedis, async (t) => {
  const url = await startTls(t, authority.issue(undefined, { until: '20210101000000Z' }));
  await refuses({ url, tls: { ca: authority.cert } }, /has a certificate that has expired/);
});

test('an authority that signed itself, in place of a certificate by it', withRedis, async (t) => {
  const url = await startTls(t, authority);
  await refuses({ url, tls: { ca: authority.cert } }, /has a certificate that is an authority's own/);
});

test('a server that requires a certificate of its clients', withRedis, async (t) => {
  const url = await startTls(t, authority.issue(), { asksClients: true });
  const ca = authority.cert;
  await decides({ url, tls: { ca, ...authority.issue(['client']) } });
  const required = /refuses the TLS connection; it may require a client certificate that it trusts/;
  await refuses({ url, tls: { ca } }, required);
  await refuses({ url, tls: { ca, ...foreign.issue(['client']) } }, required);
});

test('a server without TLS, and TLS without asking for it', withRedis, async (t) => {
  const redis = await startRedis(t);
  await refuses(
    { url: redis.url.replace('redis:', 'rediss:'), tls: { ca: authority.cert } },
    /answers with something else than TLS|may not use TLS|no answer from/,
  );
  const url = await startTls(t, authority.issue());
  await refuses(url.replace('rediss:', 'redis:'), /cannot be reached|refuses the connection/);
});
