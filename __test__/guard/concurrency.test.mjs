// The guard's concurrency: requests in progress over all threads, from the decision to the end of the answer.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import express5 from 'express';
import express4 from 'express4';
import Fastify from 'fastify';
import sluice from '../../index.js';
import { Guard } from '../../lib/guard/guard.js';
import testing from '../../lib/testing.js';
import { ask, serve } from '../helpers/http.mjs';
import { startPeers } from '../helpers/peer.mjs';
import { freshNames } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const { createGuard } = sluice;
const freshName = freshNames('guard-concurrency');
/** A unit comes back after 86 s: none does within a test. */
const PLENTY = { limit: 1000, window: '1d' };

/** A listener that answers once it is told to: `requests` are those in progress. */
function held() {
  const requests = [];
  const listener = (_req, res) => requests.push(res);
  const finishAll = () => {
    for (const res of requests.splice(0)) res.end('done');
  };
  return { requests, listener, finishAll };
}

const SERVERS = {
  'plain http': async (t, guard, listener) => serve(t, guard.http()(listener)),
  'Express 4': async (t, guard, listener) => serve(t, express4().use(guard.express()).use(listener)),
  'Express 5': async (t, guard, listener) => serve(t, express5().use(guard.express()).use(listener)),
  'Fastify 5': async (t, guard, listener) => {
    const app = Fastify({ forceCloseConnections: true });
    await app.register(guard.fastify);
    app.get('/', (request, reply) => listener(request.raw, reply.hijack().raw));
    await app.listen({ port: 0, host: '127.0.0.1' });
    t.after(() => app.close());
    return app.server.address().port;
  },
};

for (const [framework, start] of Object.entries(SERVERS)) {
  test(`${framework}: no more requests are in progress than max; the answer releases the place`, async (t) => {
    const guard = createGuard(freshName(), { rateLimit: PLENTY, concurrency: { max: 2 } });
    const { requests, listener, finishAll } = held();
    const port = await start(t, guard, listener);
    const answers = [ask(port), ask(port)];
    await until(() => requests.length, 2);
    const { status, headers, json } = await ask(port);
    assert.deepEqual(
      [status, headers['retry-after'], json.type, json['violated-policies']],
      [503, '1', 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity', ['max']],
    );
    const { allowed, refused, refusedBy, concurrency, rateLimit } = guard.stats();
    assert.deepEqual([allowed, refused, refusedBy.concurrency, concurrency], [2, 1, 1, { inFlight: 2 }]);
    assert.equal(rateLimit.allowed, 3);
    assert.equal(guard.limiter.peek('127.0.0.1').remaining, 998, 'the refused request has its charge back');
    finishAll();
    assert.deepEqual(
      (await Promise.all(answers)).map((answer) => answer.status),
      [200, 200],
    );
    await until(() => guard.stats().concurrency.inFlight, 0);
    const next = ask(port);
    await until(() => requests.length, 1);
    finishAll();
    assert.equal((await next).status, 200);
  });
}

test('maxPerClient refuses with 429, and leaves places to other clients', async (t) => {
  const guard = createGuard(freshName(), { rateLimit: false, concurrency: { max: 3, maxPerClient: 2 } });
  const { requests, listener, finishAll } = held();
  const port = await SERVERS['Express 5'](t, guard, listener);
  const answers = [ask(port), ask(port)];
  await until(() => requests.length, 2);
  const { status, json } = await ask(port);
  assert.deepEqual(
    [status, json.title, json['violated-policies']],
    [429, 'Quota Exceeded', ['maxPerClient']],
  );
  answers.push(ask(port, { from: '127.0.0.2' }));
  await until(() => requests.length, 3);
  assert.equal((await ask(port, { from: '127.0.0.3' })).status, 503);
  assert.deepEqual([guard.stats().refusedBy.concurrency, guard.stats().concurrency.inFlight], [2, 3]);
  finishAll();
  await Promise.all(answers);
  await until(() => guard.stats().concurrency.inFlight, 0);
});

test('a proxy that names no client is counted in max only', async (t) => {
  const options = {
    rateLimit: false,
    concurrency: { max: 3, maxPerClient: 1 },
    trustedProxies: ['loopback'],
  };
  const guard = createGuard(freshName(), options);
  const { requests, listener, finishAll } = held();
  const port = await SERVERS['plain http'](t, guard, listener);
  const headers = { 'x-forwarded-for': '203.0.113.7' };
  const answers = [ask(port), ask(port), ask(port, { headers })];
  await until(() => requests.length, 3);
  assert.equal((await ask(port, { headers })).json['violated-policies'][0], 'maxPerClient');
  assert.equal((await ask(port)).json['violated-policies'][0], 'max');
  finishAll();
  await Promise.all(answers);
});

test('a client that disconnects releases its place', async (t) => {
  const guard = createGuard(freshName(), { rateLimit: false, concurrency: { max: 1 } });
  const { requests, listener, finishAll } = held();
  const port = await SERVERS['Fastify 5'](t, guard, listener);
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => requests.length, 1);
  socket.destroy();
  await until(() => guard.stats().concurrency.inFlight, 0);
  requests.length = 0;
  const answer = ask(port);
  await until(() => requests.length, 1);
  finishAll();
  assert.equal((await answer).status, 200);
});

for (const framework of ['plain http', 'Fastify 5']) {
  test(`${framework}: a client that disconnects releases the places of all requests that it has pipelined`, async (t) => {
    const guard = createGuard(freshName(), { rateLimit: false, concurrency: { max: 20 } });
    const { requests, listener } = held();
    const port = await SERVERS[framework](t, guard, listener);
    const warned = t.mock.method(process, 'emitWarning', () => {});
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(11));
    await until(() => requests.length, 11);
    assert.equal(guard.stats().concurrency.inFlight, 11);
    requests[0].end('done');
    await until(() => guard.stats().concurrency.inFlight, 10);
    socket.destroy();
    await until(() => guard.stats().concurrency.inFlight, 0);
    assert.deepEqual(warned.mock.calls, []);
  });
}

test('a decision on a pipelined request whose client has disconnected keeps no place', async (t) => {
  let decide;
  const later = new Promise((resolve) => {
    decide = () => resolve('key');
  });
  const guard = createGuard(freshName(), { rateLimit: PLENTY, concurrency: { max: 20 }, key: () => later });
  const sockets = [];
  const listener = guard.http()(() => {});
  const port = await serve(t, (req, res) => {
    sockets.push(req.socket);
    listener(req, res);
  });
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3));
  await until(() => sockets.length, 3);
  socket.destroy();
  await until(() => sockets[0].destroyed, true);
  decide();
  await until(() => guard.stats().allowed, 3);
  await until(() => guard.stats().concurrency.inFlight, 0);
});

test('a semaphore that was destroyed leaves no place of the other taken', async (t) => {
  const name = freshName();
  const guard = createGuard(name, { rateLimit: false, concurrency: { max: 3, maxPerClient: 3 } });
  const { requests, listener, finishAll } = held();
  const port = await SERVERS['plain http'](t, guard, listener);
  sluice.Semaphore.destroy(`${name}:concurrency`);
  const answer = ask(port);
  await until(() => requests.length, 1);
  assert.equal(guard.stats().faults, 1);
  assert.equal(new sluice.Semaphore(`${name}:concurrency per client`).stats().held, 0);
  finishAll();
  assert.equal((await answer).status, 200);
});

test('the end of a thread releases the places of its requests', async (t) => {
  const name = freshName();
  const options = { rateLimit: false, concurrency: { max: 4 } };
  const guard = createGuard(name, options);
  const [peer] = startPeers(t, 1);
  const port = await peer.run(
    ({ load, require }, { name }) => {
      const server = require('node:http').createServer(load().createGuard(name).http()(() => {}));
      return new Promise((resolve) => {
        server.listen(0, '127.0.0.1', () => resolve(server.address().port));
      });
    },
    { name },
  );
  for (let n = 0; n < 3; n++) http.get({ port, host: '127.0.0.1', agent: false }).on('error', () => {});
  await until(() => guard.stats().concurrency.inFlight, 3);
  await peer.end();
  assert.deepEqual(guard.stats().concurrency, { inFlight: 0 });
});

test('a route with concurrency: false is not counted', async (t) => {
  const app = Fastify({ forceCloseConnections: true });
  t.after(() => app.close());
  const guard = createGuard(freshName(), { rateLimit: false, concurrency: { max: 1 } });
  await app.register(guard.fastify);
  const streams = [];
  app.get('/stream', { config: { sluice: { concurrency: false } } }, (_request, reply) => {
    streams.push(reply.hijack().raw);
  });
  app.get('/', async () => 'served');
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address();
  const answers = [ask(port, { path: '/stream' }), ask(port, { path: '/stream' })];
  await until(() => streams.length, 2);
  assert.equal(guard.stats().concurrency.inFlight, 0);
  assert.equal((await ask(port)).status, 200);
  for (const stream of streams) stream.end();
  await Promise.all(answers);
  assert.equal(guard.stats().allowed, 3);
});

test('check() counts a request whose answer it sees, once, and none whose answer it does not', async (t) => {
  const guard = createGuard(freshName(), { rateLimit: PLENTY, concurrency: { max: 1 } });
  const outcomes = [];
  const port = await serve(t, (req, res) => {
    outcomes.push(guard.check(req).outcome, guard.check(req, res).outcome, guard.check(req, res).outcome);
    assert.deepEqual(guard.stats().concurrency, { inFlight: 1 });
    res.end();
  });
  await ask(port);
  assert.deepEqual(outcomes, ['allowed', 'allowed', 'allowed']);
  await until(() => guard.stats().concurrency.inFlight, 0);
});

test('with dryRun nothing is refused, and what would be is counted', async (t) => {
  const guard = createGuard(freshName(), { rateLimit: false, concurrency: { max: 1 }, dryRun: true });
  const { requests, listener, finishAll } = held();
  const port = await SERVERS['plain http'](t, guard, listener);
  const answers = [ask(port), ask(port), ask(port)];
  await until(() => requests.length, 3);
  const { allowed, dryRefused, refusedBy } = guard.stats();
  assert.deepEqual([allowed, dryRefused, refusedBy.concurrency], [3, 2, 0]);
  finishAll();
  await Promise.all(answers);
});

test('priorities leave the last tenth to high, and the upper half not to low', async () => {
  const { ConcurrencyGate } = await import('../../lib/guard/concurrency-gate.js').then((all) => all.default);
  const { GuardDecision } = await import('../../lib/guard/guard-decision.js').then((all) => all.default);
  const counts = { count() {}, publish() {}, allowed() {}, fault: assert.fail };
  const gate = new ConcurrencyGate(freshName(), { max: 20 }, { counts, dryRun: false });
  const rule = { isBounded: true };
  const client = { address: null, key: 'a' };
  const admitted = (priority) => {
    let count = 0;
    while (gate.enter(GuardDecision.undecided('allowed', client), { incoming: {}, rule }, priority).allowed)
      count += 1;
    return count;
  };
  assert.deepEqual(['low', 'normal', 'low', 'high', 'normal'].map(admitted), [10, 8, 0, 2, 0]);
  const exempt = gate.enter(GuardDecision.undecided('allowed', client), { incoming: {}, rule }, 'exempt');
  assert.deepEqual([exempt.allowed, exempt.hasPlaces], [true, false]);
});

test('a priority of one route ranks all requests of the guard', () => {
  const admitted = (guard, rule) => {
    let count = 0;
    while (guard.decide({ headers: {}, socket: { remoteAddress: '192.0.2.1' } }, undefined, rule).allowed)
      count += 1;
    return count;
  };
  const open = () => new Guard('test', { name: freshName(), rateLimit: false, concurrency: { max: 20 } });
  const ranked = open();
  const login = ranked.routeRule('login', { priority: 'high' });
  assert.deepEqual([admitted(ranked, ranked.rule), admitted(ranked, login)], [18, 2]);
  const alike = open();
  const probe = alike.routeRule('probe', { priority: 'exempt' });
  assert.equal(admitted(alike, alike.rule), 20);
  assert.equal(alike.decide({ headers: {}, socket: {} }, undefined, probe).hasPlaces, false);
});

test('threads share the caps, and must agree on them', async (t) => {
  const name = freshName();
  createGuard(name, { concurrency: { max: 2 } });
  const [peer] = startPeers(t, 1);
  const attached = await peer.run(({ load }, name) => load().createGuard(name).stats().concurrency, name);
  assert.deepEqual(attached, { inFlight: 0 });
  const mismatch = {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message: /concurrency = \{ max: 2 \}; given: \{ max: 3 \}/,
  };
  assert.throws(() => createGuard(name, { concurrency: { max: 3 } }), mismatch);
  createGuard(name, { concurrency: { max: 3 }, onMismatch: 'reconfigure' });
  assert.equal(new sluice.Semaphore(`${name}:concurrency`).stats().permits, 3);
  assert.throws(() => createGuard(name, { concurrency: { maxPerClient: 3 }, onMismatch: 'reconfigure' }), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
  });
  testing.reset();
});

test('invalid options are INVALID_OPTION; a scope beyond the process is UNSUPPORTED', () => {
  for (const concurrency of [true, {}, { max: 0 }, { max: 1.5 }, { maxPerClient: '1' }, { min: 1 }, []]) {
    const open = () => createGuard(freshName(), { concurrency });
    assert.throws(open, { code: 'ERR_SLUICE_INVALID_OPTION' }, JSON.stringify(concurrency));
  }
  assert.throws(
    () => createGuard(freshName(), { concurrency: { max: 1 }, scope: { redis: 'redis://localhost' } }),
    {
      code: 'ERR_SLUICE_UNSUPPORTED',
      message: /scope together with concurrency/,
    },
  );
  const route = () => createGuard(freshName()).routeRule('a', { concurrency: { max: 1 } });
  assert.throws(route, { code: 'ERR_SLUICE_INVALID_OPTION', message: /accepted: false/ });
});

test('metrics() and the page of the guard show what is in progress', () => {
  const guard = createGuard(freshName(), { concurrency: { max: 2 } });
  const line = `sluice_requests_in_flight{guard="${guard.name}"} 0`;
  assert.ok(guard.metrics().includes(line));
  const page = sluice.metrics();
  assert.ok(page.includes(line));
  const permits = `sluice_semaphore_permits{guard="${guard.name}",semaphore="${guard.name}:concurrency"} 2`;
  for (const each of [page, guard.metrics(), sluice.metrics({ guards: [guard] })]) {
    assert.equal(each.split(permits).length, 2);
    assert.ok(!each.includes(`sluice_semaphore_permits{semaphore="${guard.name}`));
  }
  assert.ok(page.includes(`sluice_requests_refused_total{guard="${guard.name}",reason="concurrency"} 0`));
});
