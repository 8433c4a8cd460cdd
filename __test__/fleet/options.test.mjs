// Which scopes are accepted, what each mistake is called, and that no message holds credentials.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test, { describe } from 'node:test';
import { promisify } from 'node:util';
import sluice from '../../index.js';
import { selfSigned } from '../helpers/certificate.mjs';
import { freshName } from '../helpers/peer.mjs';
import { startRedis, withRedis } from '../helpers/redis.mjs';

const { CircuitBreaker, ConnectionTracker, RateLimiter, Reputation, createGuard } = sluice;

const limited = { limit: 10, window: '1m' };
/** Nothing listens there, and nothing connects before the first call. */
const url = 'redis://me:hunter2@127.0.0.1:1/3';

const open = (scope, name = freshName()) => new RateLimiter(name, { ...limited, scope });

function refused(scope, code, message) {
  assert.throws(
    () => open(scope),
    (error) => {
      assert.equal(error.code, `ERR_SLUICE_${code}`);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    },
    JSON.stringify(scope),
  );
}

test('mistakes in a scope name what is accepted, and repeat no url', () => {
  const invalid = [
    [url, /^RateLimiter scope is a string; accepted: "process", \{ shared: .*, or \{ redis: /],
    [7, /^RateLimiter scope is number/],
    [[], /RateLimiter scope is object/],
    [{}, /^RateLimiter scope redis is undefined/],
    [{ redis: 7 }, /^RateLimiter scope redis is no url/],
    [{ redis: {} }, /^RateLimiter scope redis url is undefined/],
    [{ redis: 'me:hunter2@host' }, /scope\.redis is (?:no url|a url of the scheme)/],
    [{ redis: 'http://me:hunter2@host' }, /is a url of the scheme "http"; accepted: "redis:\/\//],
    [{ redis: 'redis://me:hunter2@host:port' }, /is no url: invalid port number/],
    [{ redis: 'redis://me:hunter2@host/three' }, /database is no number/],
    [{ redis: 'redis://me:hunter2@host/0?db=1' }, /is a url with a query/],
    [{ redis: 'redis://me:hunter#2@host' }, /invalid port|fragment|no url/],
    [{ redis: { url, database: 1.5 } }, /database is 1\.5; accepted: an integer/],
    [{ redis: { url, password: 7 } }, /password is no string/],
    [
      { redis: { url, user: 'me' } },
      /has no option "user"; accepted: url, nodes, sentinels, master, username/,
    ],
    [{ redis: { nodes: [] } }, /nodes is no list of urls; accepted: an array of one url or more/],
    [{ redis: { nodes: url } }, /nodes is no list of urls/],
    [{ redis: { nodes: ['http://me:hunter2@host'] } }, /scope\.redis\.nodes is a url of the scheme "http"/],
    [{ redis: { nodes: [url] } }, /nodes is given with a database; accepted: no database/],
    [{ redis: { nodes: ['redis://a', 'rediss://b'] } }, /nodes is urls with and without TLS/],
    [{ redis: { nodes: ['unix:///run/redis.sock'] } }, /nodes is a url of a Unix socket/],
    [{ redis: { url, nodes: [url] } }, /has url and nodes; accepted: one of url, nodes, sentinels/],
    [{ redis: { sentinels: [url] } }, /has sentinels without master; accepted: both, or neither/],
    [{ redis: { url, master: 'main' } }, /has master without sentinels/],
    [{ redis: { sentinels: [url], master: 'a b' } }, /master is "a b"; accepted: the name/],
    [{ redis: { sentinels: [url], master: 'm' } }, /sentinels is a url with a database/],
    ...[true, 'hunter2', ['hunter2'], Buffer.from('hunter2')].map((tls) => [
      { redis: { url, tls } },
      /redis tls is no object; accepted: \{ ca\?, cert\?, key\?, servername\? \}/,
    ]),
    [{ redis: { url, tls: { ca: 7 } } }, /tls ca is neither text nor a Buffer; accepted: PEM/],
    [
      { redis: { url, tls: { ca: 'hunter2' } } },
      /scope\.redis\.tls\.ca is a text that holds none; accepted: one PEM/,
    ],
    [{ redis: { url, tls: { ca: Buffer.from('hunter2') } } }, /tls\.ca is a text that holds none/],
    [{ redis: { url, tls: { key: 'hunter2' } } }, /tls\.cert is missing; accepted: the certificate of `key`/],
    [{ redis: { url, tls: { cert: 'hunter2' } } }, /tls\.key is missing/],
    [
      { redis: { url, tls: { ...selfSigned(), key: 'hunter2' } } },
      /tls\.key is a text that holds none; accepted: a PEM/,
    ],
    [
      { redis: { url, tls: { ...selfSigned(), key: selfSigned().key } } },
      /tls\.key is given with a certificate/,
    ],
    [{ redis: { url, tls: { servername: 'no host' } } }, /tls\.servername is no name of a host/],
    [
      { redis: { url, tls: { rejectUnauthorized: false } } },
      /has no option "rejectUnauthorized"; accepted: ca, cert/,
    ],
    [{ redis: { url: 'unix:///run/redis.sock', tls: {} } }, /tls is given with a Unix socket/],
    [{ redis: url, onError: 'pass' }, /onError is "pass"; accepted: "local", "allow", "deny"/],
    [{ redis: url, mode: 'fast' }, /mode is "fast"; accepted: "exact", "lease"/],
    [{ redis: url, timeout: 0 }, /timeout is 0/],
    [{ redis: url, timeout: '2m' }, /timeout is "2m"; accepted: a duration from 1 ms to 60000 ms/],
    [{ redis: url, prefix: 'a b' }, /prefix is "a b"; accepted: 1 to 64 printable/],
    [{ redis: url, prefix: '{a}' }, /prefix/],
    [{ redis: url, prefix: '' }, /prefix/],
  ];
  for (const [scope, message] of invalid) refused(scope, 'INVALID_OPTION', message);
});

test('rates, bans and connections leave the process, and nothing else', () => {
  const scope = { redis: url };
  const unsupported = { code: 'ERR_SLUICE_UNSUPPORTED' };
  const hidden = { redis: 'http://me:hunter2@host' };
  assert.throws(() => new ConnectionTracker(freshName(), { max: 1, scope: hidden }), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /^ConnectionTracker scope\.redis (?!.*hunter2)/,
  });
  const bans = { maxFailures: 1, findTime: 1, banTime: 1, maxBanTime: 1 };
  assert.throws(() => new Reputation(freshName(), { ...bans, scope: { redis: 'http://hunter2@host' } }), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /^Reputation scope\.redis (?!.*hunter2)/,
  });
  const concurrency = { max: 1 };
  assert.throws(() => createGuard(freshName(), { rateLimit: limited, concurrency, scope }), unsupported);
  const breaker = { window: { calls: 1 }, openFor: 1, scope };
  assert.throws(() => new CircuitBreaker(freshName(), breaker), { code: 'ERR_SLUICE_INVALID_OPTION' });
});

test('trackers of one name agree in their scope', (t) => {
  const name = freshName();
  const tracker = new ConnectionTracker(name, { max: 1, scope: { redis: url, mode: 'lease' } });
  t.after(() => ConnectionTracker.destroy(name));
  assert.doesNotThrow(
    () => new ConnectionTracker(name, { max: 1, scope: { redis: url } }),
    'mode means nothing',
  );
  const mismatch = (scope, differs) =>
    assert.throws(
      () => new ConnectionTracker(name, { max: 1, scope }),
      (error) => {
        assert.equal(error.code, 'ERR_SLUICE_CONFIG_MISMATCH');
        assert.match(error.message, /scope = redis 127\.0\.0\.1:1\/3, onError local, timeout 50 ms/);
        assert.match(error.message, differs);
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      },
    );
  mismatch({ redis: 'redis://127.0.0.1:1/4' }, /127\.0\.0\.1:1\/4/);
  mismatch({ redis: url, onError: 'deny' }, /onError deny/);
  mismatch({ redis: url, timeout: 51 }, /timeout 51 ms/);
  mismatch('process', /given: process/);
  assert.equal(tracker.stats().fleet.server, '127.0.0.1:1/3');
});

test('limiters of one name agree in their scope', () => {
  const name = freshName();
  open({ redis: url }, name);
  open({ redis: { url: 'redis://127.0.0.1:1', database: 3, password: 'hunter2' }, timeout: '50ms' }, name);
  const mismatch = (scope, differs) =>
    assert.throws(
      () => open(scope, name),
      (error) => {
        assert.equal(error.code, 'ERR_SLUICE_CONFIG_MISMATCH');
        assert.match(error.message, /scope = redis 127\.0\.0\.1:1\/3, mode exact, onError local/);
        assert.match(error.message, differs);
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      },
    );
  mismatch({ redis: 'redis://127.0.0.1:1/4' }, /127\.0\.0\.1:1\/4/);
  mismatch({ redis: url, onError: 'deny' }, /onError deny/);
  mismatch({ redis: url, prefix: 'other:' }, /prefix "other:"/);
  mismatch('process', /given: process/);
  assert.throws(() => new RateLimiter(name).reconfigure({ scope: 'process' }), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /reconfigure scope is process; accepted: redis 127\.0\.0\.1:1\/3.*fixed at creation/,
  });
});

test('synchronous calls are errors that name their twins', () => {
  const limiter = open({ redis: url });
  const unsupported = (message) => ({ code: 'ERR_SLUICE_UNSUPPORTED', message });
  for (const method of ['tryConsume', 'consume', 'peek']) {
    assert.throws(() => limiter[method]('a'), unsupported(/accepted: consumeAsync, peekAsync/), method);
  }
  assert.throws(() => limiter.consumeMany(['a']), unsupported(/accepted: consumeAsync/));
  assert.throws(() => limiter.handle('a').tryConsume(), unsupported(/accepted: consumeAsync/));
  for (const method of ['refund', 'penalize', 'reset']) {
    assert.throws(() => limiter[method]('a'), unsupported(new RegExp(`accepted: ${method}Async`)), method);
  }
  assert.throws(() => limiter.block('a', 1), unsupported(/accepted: blockAsync/));
  assert.throws(() => limiter.clear(), unsupported(/accepted: resetAsync\(key\)/));
});

test('no call waits in line, also not by a handle of a key', async () => {
  for (const mode of ['exact', 'lease']) {
    const limiter = open({ redis: url, mode });
    await assert.rejects(limiter.acquire('a'), { code: 'ERR_SLUICE_UNSUPPORTED' }, mode);
    await assert.rejects(limiter.handle('a').acquire(), { code: 'ERR_SLUICE_UNSUPPORTED' }, mode);
  }
});

test('invalid arguments reject, in any scope', async () => {
  for (const scope of ['process', { redis: url }]) {
    const limiter = open(scope);
    await assert.rejects(limiter.consumeAsync(''), { code: 'ERR_SLUICE_INVALID_KEY' });
    await assert.rejects(limiter.consumeAsync('a', 0.5), { code: 'ERR_SLUICE_INVALID_COST' });
    await assert.rejects(limiter.peekAsync(7), { code: 'ERR_SLUICE_INVALID_KEY' });
    await assert.rejects(limiter.refundAsync('a', 0), { code: 'ERR_SLUICE_INVALID_COST' });
    await assert.rejects(limiter.penalizeAsync('a', -1), { code: 'ERR_SLUICE_INVALID_COST' });
    await assert.rejects(limiter.blockAsync('a', 'long'), { code: 'ERR_SLUICE_INVALID_OPTION' });
    await assert.rejects(limiter.resetAsync(null), { code: 'ERR_SLUICE_INVALID_KEY' });
    await assert.rejects(limiter.ready({ timeout: 0 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
    // A timer of Node.js would fire at once.
    await assert.rejects(limiter.ready({ timeout: '25d' }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: /^ready timeout is "25d"; accepted: .*at most 24 days$/,
    });
  }
});

test('in the scope of the process, the awaited calls are those of the process', async () => {
  const limiter = open('process');
  await limiter.ready();
  const { allowed, remaining, source } = await limiter.consumeAsync('a', 4);
  assert.deepEqual({ allowed, remaining, source }, { allowed: true, remaining: 6, source: undefined });
  await limiter.refundAsync('a', 2);
  await limiter.penalizeAsync('a');
  assert.equal((await limiter.peekAsync('a')).remaining, 7);
  assert.equal(await limiter.blockAsync('a', '1m'), true);
  assert.equal(await limiter.resetAsync('a'), true);
  assert.equal(limiter.stats().fleet, undefined);
});

test('a destroyed limiter is closed', async () => {
  const name = freshName();
  const limiter = open({ redis: url }, name);
  assert.equal(RateLimiter.destroy(name), true);
  await assert.rejects(limiter.consumeAsync('a'), { code: 'ERR_SLUICE_CLOSED' });
});

describe('options that differ between processes', () => {
  /** The warnings of a process with these limits or rules, once both have been said. */
  const run = promisify(execFile);
  const FILE = new URL('../helpers/differing-process.cjs', import.meta.url).pathname;

  /** What two processes print that run at one time. */
  async function warningsOf(...tasks) {
    const ended = tasks.map((task) => run(process.execPath, [FILE, JSON.stringify(task)]));
    return (await Promise.all(ended)).map(({ stdout }) => stdout.trim());
  }

  test('are warned of once in each, with what each decides by', withRedis, async (t) => {
    const redis = await startRedis(t);
    const of = (limit) => ({
      kind: 'RateLimiter',
      name: 'api',
      redis: redis.url,
      options: { limit, window: '1m' },
    });
    const [first, second] = await warningsOf(of(100), of(200));
    const word = (own, other) =>
      `SLUICE_FLEET_OPTIONS_DIFFER RateLimiter "api" has ${own} per 60000 ms by "gcra", and ${other} per 60000 ms by "gcra" in ` +
      'another process: each process decides by its own limits, on what the server counts for all';
    assert.deepEqual([first, second], [word(100, 200), word(200, 100)]);
  });

  test('of trackers are warned of too', withRedis, async (t) => {
    const redis = await startRedis(t);
    const of = (max) => ({ kind: 'ConnectionTracker', name: 'edge', redis: redis.url, options: { max } });
    const [first, second] = await warningsOf(of(5), of(7));
    const warning =
      /^SLUICE_FLEET_OPTIONS_DIFFER ConnectionTracker "edge" has max (\d), maxPerClient none, clients ip, ipv6Prefix 64, and max (\d), .* in another process: each process decides by its own caps/;
    assert.deepEqual(
      [warning.exec(first).slice(1), warning.exec(second).slice(1)],
      [
        ['5', '7'],
        ['7', '5'],
      ],
    );
  });

  test('of reputations are warned of too', withRedis, async (t) => {
    const redis = await startRedis(t);
    const rules = { findTime: '10m', banTime: '1h', maxBanTime: '7d' };
    const of = (maxFailures) => ({
      kind: 'Reputation',
      name: 'logins',
      redis: redis.url,
      options: { ...rules, maxFailures },
    });
    const [first, second] = await warningsOf(of(5), of(7));
    assert.match(
      first,
      /^SLUICE_FLEET_OPTIONS_DIFFER Reputation "logins" has maxFailures 5, .*maxFailures 7.*each process/,
    );
    assert.match(
      second,
      /^SLUICE_FLEET_OPTIONS_DIFFER Reputation "logins" has maxFailures 7, .*maxFailures 5/,
    );
  });
});
