// Servers that are too old, or answer what no server should: decided without them, with a sentence that says why.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';
import { startFake } from '../helpers/redis.mjs';

const { RateLimiter } = sluice;

const hello = (version) =>
  `%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$${version.length}\r\n${version}\r\n`;

/** A server of this version that answers script calls with `reply`. */
const serverOf = (version, reply) => (words) => {
  if (words[0] === 'HELLO') return hello(version);
  return words[0].startsWith('EVAL') ? reply : '+OK\r\n';
};

const open = (url) =>
  new RateLimiter(freshName(), {
    limit: 10,
    window: '1h',
    scope: { redis: url, onError: 'deny', timeout: '5s' },
  });

test('a server before 6.2 is refused, with its version', async (t) => {
  const unknown = '-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n';
  for (const [answer, version] of [
    [() => unknown, /has version before 6\.0; needed: Redis 6\.2 or Valkey/],
    [serverOf('6.0.16', ''), /has version redis 6\.0\.16; needed: Redis 6\.2 or Valkey/],
  ]) {
    const limiter = open(await startFake(t, answer));
    assert.equal((await limiter.consumeAsync('a')).source, 'deny');
    await assert.rejects(limiter.ready({ timeout: 50 }), {
      code: 'ERR_SLUICE_SCOPE_UNAVAILABLE',
      message: version,
    });
  }
});

test('replies that no script gives are errors of the server', async (t) => {
  for (const reply of ['*0\r\n', '+OK\r\n', '*2\r\n:1\r\n:1\r\n', '*1\r\n$1\r\na\r\n', '_\r\n']) {
    const limiter = open(await startFake(t, serverOf('7.0.0', reply)));
    assert.equal((await limiter.consumeAsync('a')).source, 'deny', JSON.stringify(reply));
    assert.equal(limiter.stats().fleet.errors, 1);
    assert.match(limiter.stats().fleet.lastError, /a reply that none of the scripts gives/);
  }
});

test('bytes that are no reply end the connection, and the calls under way', async (t) => {
  const limiter = open(await startFake(t, serverOf('7.0.0', '?what\r\n')));
  assert.equal((await limiter.consumeAsync('a')).source, 'deny');
});

test('a node of a cluster is named as such', async (t) => {
  const limiter = open(await startFake(t, serverOf('7.0.0', '-MOVED 3999 127.0.0.1:6381\r\n')));
  assert.equal((await limiter.consumeAsync('a')).source, 'deny');
  assert.match(limiter.stats().fleet.lastError, /is a node of a cluster; accepted for one: `nodes`/);
});

test('a server that cannot run scripts answers with errors', async (t) => {
  const denied = "-NOPERM this user has no permissions to run the 'evalsha' command\r\n";
  const limiter = open(await startFake(t, serverOf('7.0.0', denied)));
  assert.equal((await limiter.consumeAsync('a')).source, 'deny');
  const { fleet } = limiter.stats();
  assert.deepEqual([fleet.state, fleet.failures.refused], ['ready', 1]);
  assert.match(fleet.lastError, /no permissions to run/);
});
