// createGuard with plain http, Express and Fastify: what is refused, with which response, and what is recorded.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, test } from 'node:test';
import sluice from '../../index.js';
import { FRAMEWORKS, keepConnection, serveGuarded } from '../helpers/guarded.mjs';
import { ask, connectIdly, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { connect, listening, until } from '../helpers/sockets.mjs';

const { createGuard, RateLimiter } = sluice;

const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };

/** Credentials, with which a 401 counts as a failed login. */
const CREDENTIALS = { authorization: 'Basic YWRhOng=' };

const clock = stopClock();
const freshName = freshNames('guard');

for (const framework of FRAMEWORKS) {
  describe(framework, () => {
    async function guarded(t, options) {
      const guard = createGuard(freshName(), options);
      return { guard, ...(await serveGuarded(t, framework, guard)) };
    }

    test('sends the quota, and 429 once it is used up', async (t) => {
      const { guard, port } = await guarded(t, { rateLimit: { limit: 1, window: '10s' } });
      const served = await ask(port);
      assert.equal(served.status, 200);
      assert.equal(served.headers['ratelimit-policy'], `"${guard.name}";q=1;w=10`);
      assert.equal(served.headers.ratelimit, `"${guard.name}";r=0;t=10`);
      const refused = await ask(port);
      assert.equal(refused.status, 429);
      assert.equal(refused.headers['retry-after'], '10');
      assert.equal(refused.headers['content-type'], 'application/problem+json');
      assert.equal(refused.headers['content-length'], String(refused.text.length));
      assert.match(refused.json.type, /#quota-exceeded$/);
      assert.deepEqual(refused.json['violated-policies'], [guard.name]);
    });

    test('refuses banned clients with 403 and serves others', async (t) => {
      const { guard, port } = await guarded(t, { reputation: BANS });
      const agent = keepConnection(t);
      assert.equal((await ask(port, { agent })).status, 200);
      guard.reputation.ban('127.0.0.1', { duration: '2500ms' });
      const refused = await ask(port, { agent });
      assert.equal(refused.status, 403);
      assert.equal(refused.headers['retry-after'], '3');
      assert.equal(refused.headers.connection, 'close');
      assert.equal(refused.headers['content-type'], 'application/problem+json');
      assert.equal(refused.headers.ratelimit, undefined);
      assert.deepEqual(refused.json, {
        type: 'https://iana.org/assignments/http-problem-types#abnormal-usage-detected',
        title: 'Abnormal Usage Detected',
        status: 403,
        detail: 'This client is banned. Try again in 3 s.',
        retryAfterMs: 2500,
        'violated-policies': [guard.name],
      });
      assert.equal((await ask(port, { from: '127.0.0.2' })).status, 200);
      clock.advance(2500);
      assert.equal((await ask(port)).status, 200);
    });

    test('sends no Retry-After for a ban without an end', async (t) => {
      const { guard, port } = await guarded(t, { reputation: BANS });
      const agent = keepConnection(t);
      await ask(port, { agent });
      guard.reputation.ban('127.0.0.0/8', { duration: Number.POSITIVE_INFINITY });
      const answers = [await ask(port, { agent }), await ask(port)];
      for (const { status, headers, json } of answers) {
        assert.deepEqual([status, headers['retry-after']], [403, undefined]);
        assert.deepEqual([json.retryAfterMs, json.detail], [null, 'This client is banned.']);
      }
    });

    test('a banned client is refused at accept', async (t) => {
      const { guard, port } = await guarded(t, { reputation: BANS, connections: { max: 10 } });
      assert.equal((await ask(port)).status, 200);
      guard.reputation.ban('127.0.0.1', { duration: '1m' });
      const refused = await ask(port);
      assert.equal(refused.status, 403);
      assert.equal(refused.headers['retry-after'], '60');
      assert.match(refused.json.type, /#abnormal-usage-detected$/);
      const { refusedAtAccept, refusedBy, connections } = guard.stats();
      assert.deepEqual([refusedAtAccept, refusedBy.ban, connections.refused.banned], [1, 0, 1]);
      assert.equal(connections.opened, 1, 'the refused socket is not counted as opened');
    });

    test('bans are checked before connection limits, those before the rate limit', async (t) => {
      const { guard, port } = await guarded(t, {
        reputation: BANS,
        connections: { max: 1 },
        rateLimit: { limit: 1, window: '1h' },
      });
      const agent = keepConnection(t);
      assert.deepEqual(await statuses(2, port, { agent }), [200, 429]);
      const full = await ask(port);
      assert.deepEqual([full.status, full.headers.connection], [503, 'close']);
      assert.match(full.json.type, /#temporary-reduced-capacity$/);
      guard.reputation.ban('127.0.0.1', { duration: '1m' });
      assert.equal((await ask(port)).status, 403);
      const { refusedBy, rateLimit } = guard.stats();
      assert.deepEqual(refusedBy, { quota: 1, connections: 0, ban: 0 });
      assert.deepEqual([rateLimit.allowed, rateLimit.refused], [1, 1], 'neither refusal is charged');
    });

    for (const status of [401, 403, 404]) {
      test(`the third ${status} bans, and the next request is refused`, async (t) => {
        const record = { 404: { event: 'not-found', weight: 1 } };
        const { guard, port } = await guarded(t, { reputation: BANS, record });
        const asked = { agent: keepConnection(t), path: `/${status}?secret=1`, headers: CREDENTIALS };
        assert.deepEqual(await statuses(4, port, asked), [status, status, status, 403]);
        assert.equal(guard.stats().reputation.bans, 1);
        assert.equal(guard.stats().recorded, 3, 'a refusal for a ban is no failure');
        assert.equal((await ask(port, { from: '127.0.0.2' })).status, 200);
      });
    }

    test('429 is no failure, unless record says so', async (t) => {
      const rateLimit = { limit: 1, window: '1h' };
      const { port } = await guarded(t, { reputation: BANS, rateLimit });
      assert.deepEqual(await statuses(6, port), [200, 429, 429, 429, 429, 429]);
      const record = { 429: { event: 'rate-limited', weight: 1 } };
      const strict = await guarded(t, { reputation: BANS, rateLimit, record });
      assert.deepEqual(await statuses(5, strict.port), [200, 429, 429, 429, 403]);
    });

    test('the monitor records answers with their paths, and its rules ban', async (t) => {
      const rule = { event: 'not-found', count: 3, window: '1m', distinct: true, action: 'ban' };
      const { guard, port } = await guarded(t, {
        reputation: { ...BANS, maxFailures: 100 },
        monitor: { rules: [rule] },
      });
      const agent = keepConnection(t);
      const asked = async (path) => (await ask(port, { agent, path })).status;
      const answers = [];
      for (const path of ['/404/a', '/404/a?1', '/404/b', '/404/a?2', '/404/c'])
        answers.push(await asked(path));
      assert.deepEqual(answers, [404, 404, 404, 404, 404]);
      assert.equal(await asked('/'), 403);
      const recorded = guard.monitor.history().map(({ event, detail }) => `${event} ${detail}`);
      const paths = ['c', 'a', 'b', 'a', 'a'];
      assert.deepEqual(
        recorded,
        paths.map((path) => `not-found /404/${path}`),
      );
      assert.equal(guard.stats().monitor.bans, 1);
    });

    test('record determines which statuses are recorded, and as which events', async (t) => {
      const record = { 404: false, 418: 'teapot', 401: { event: 'bad-login', weight: 2 } };
      const { guard, port } = await guarded(t, { reputation: BANS, monitor: { rules: [] }, record });
      for (const path of ['/404', '/418', '/401', '/200', '/500'])
        await ask(port, { path, headers: CREDENTIALS });
      assert.deepEqual(guard.monitor.counts(), { teapot: 1, 'bad-login': 1 });
      assert.equal(guard.stats().reputation.failures, 3);
      assert.equal(guard.reputation.check('127.0.0.1').reason, 'bad-login');
    });

    test('record: false records no answer', async (t) => {
      const { guard, port } = await guarded(t, {
        reputation: BANS,
        monitor: { rules: [] },
        record: false,
      });
      assert.deepEqual(await statuses(5, port, { path: '/401' }), [401, 401, 401, 401, 401]);
      assert.deepEqual([guard.monitor.counts(), guard.stats().recorded], [{}, 0]);
    });

    test('false disables each part', async (t) => {
      const { guard, port } = await guarded(t, {
        rateLimit: false,
        connections: false,
        reputation: false,
        monitor: false,
      });
      const { status, headers } = await ask(port, { path: '/404' });
      assert.deepEqual([status, headers.ratelimit], [404, undefined]);
      assert.deepEqual(
        [guard.limiter, guard.tracker, guard.reputation, guard.monitor],
        [null, null, null, null],
      );
      const { rateLimit, connections, reputation, monitor, allowed } = guard.stats();
      assert.deepEqual([rateLimit, connections, reputation, monitor, allowed], [null, null, null, null, 1]);
    });

    test('by default no client is banned and nothing is recorded', async (t) => {
      const { guard, port } = await guarded(t, {});
      assert.deepEqual(await statuses(101, port, { path: '/401' }), [...Array(100).fill(401), 429]);
      assert.deepEqual([guard.reputation, guard.monitor, guard.tracker], [null, null, null]);
    });

    test('dryRun refuses no banned client, also not at accept, and counts dryRefused', async (t) => {
      const { guard, port } = await guarded(t, { reputation: BANS, dryRun: true });
      const asked = { path: '/401', headers: CREDENTIALS };
      assert.deepEqual(await statuses(5, port, asked), [401, 401, 401, 401, 401]);
      const { refused, dryRefused, refusedAtAccept, reputation } = guard.stats();
      assert.deepEqual([refused, dryRefused, refusedAtAccept, reputation.bans], [0, 2, 0, 1]);
    });

    test('a client behind a trusted proxy is banned by itself, and the connection of the proxy stays open', async (t) => {
      const { guard, port } = await guarded(t, { reputation: BANS, trustedProxies: ['127.0.0.1'] });
      const agent = keepConnection(t);
      const by = (client, path = '/') => ({
        agent,
        path,
        headers: { 'x-forwarded-for': client, ...CREDENTIALS },
      });
      assert.deepEqual(await statuses(3, port, by('203.0.113.5', '/401')), [401, 401, 401]);
      const refused = await ask(port, by('203.0.113.5'));
      assert.deepEqual([refused.status, refused.headers.connection], [403, 'keep-alive']);
      assert.equal((await ask(port, by('203.0.113.6'))).status, 200);
      guard.reputation.ban('127.0.0.1', { duration: '1m' });
      assert.equal((await ask(port, by('203.0.113.6'))).status, 200, 'a trusted proxy is never refused');
    });

    test('deny lists match the whole IPv6 address, not its prefix', async (t) => {
      const deny = ['2001:db8::5'];
      const { port } = await guarded(t, { reputation: { ...BANS, deny }, trustedProxies: ['127.0.0.1'] });
      const by = (client) => ({ headers: { 'x-forwarded-for': client } });
      assert.equal((await ask(port, by('2001:db8::5'))).status, 403);
      assert.equal((await ask(port, by('2001:db8::6'))).status, 200);
    });

    test('an internal error admits the request and is counted', async (t) => {
      const { guard, port } = await guarded(t, { reputation: BANS, connections: { max: 5 } });
      sluice.Reputation.destroy(guard.name);
      RateLimiter.destroy(guard.name);
      const agent = keepConnection(t);
      assert.deepEqual(await statuses(2, port, { agent, path: '/401' }), [401, 401]);
      assert.ok(guard.stats().faults >= 4);
    });
  });
}

test('a banned client that sends nothing is refused too', async (t) => {
  const guard = createGuard(freshName(), { reputation: BANS });
  const { port } = await serveGuarded(t, 'plain http', guard);
  guard.reputation.ban('127.0.0.1', { duration: '1m' });
  const socket = await connectIdly(t, port);
  let text = '';
  for await (const chunk of socket) text += chunk;
  assert.match(text, /^HTTP\/1\.1 403 Forbidden\r\n/);
  assert.match(text, /\r\nRetry-After: 60\r\n/);
});

test('HTTP/2: answers are recorded, and a ban refuses streams and connections', async (t) => {
  const guard = createGuard(freshName(), { reputation: BANS, connections: { max: 10 } });
  const server = http2.createServer((req, res) => {
    const { status = 401, headers, body } = guard.check(req);
    res.writeHead(status, headers).end(body);
  });
  guard.attach(server);
  const port = await listening(t, server);
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  const statusOf = async () => {
    const stream = session.request({ ':path': '/', ...CREDENTIALS }).resume();
    const [[headers]] = await Promise.all([once(stream, 'response'), once(stream, 'close')]);
    return headers[':status'];
  };
  for (let failures = 1; failures <= 3; failures++) {
    assert.equal(await statusOf(), 401);
    await until(() => guard.stats().reputation.failures, failures);
  }
  assert.equal(await statusOf(), 403);
  const refused = await connect(t, { port, host: '127.0.0.1' });
  refused.resume();
  await refused.gone;
  const { refusedAtAccept, refusedBy, faults } = guard.stats();
  assert.deepEqual([refusedAtAccept, refusedBy.ban, faults], [1, 1, 0]);
});

test('a socket is refused even when the refusal cannot be counted', async (t) => {
  const guard = createGuard(freshName(), { reputation: BANS, connections: { max: 5 } });
  const { port } = await serveGuarded(t, 'plain http', guard);
  guard.reputation.ban('127.0.0.1', { duration: '1m' });
  sluice.ConnectionTracker.destroy(guard.name);
  assert.equal((await ask(port)).status, 403);
  const { refusedAtAccept, faults, allowed } = guard.stats();
  assert.deepEqual([refusedAtAccept, faults, allowed], [1, 1, 0]);
});
