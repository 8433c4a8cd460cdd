// The guarantees of the README as clients see them: four threads on one port, concurrent clients, exact totals.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { read } from '../helpers/http.mjs';
import { freshName } from '../helpers/peer.mjs';
import { connect, until } from '../helpers/sockets.mjs';

const { ConnectionTracker, RateLimiter } = sluice;

const FRAMEWORKS = { 'Express 4': 'express4', 'Express 5': 'express', 'Fastify 5': 'fastify' };
const THREADS = 4;
const LIMIT = 100;
const ROUTE_LIMIT = 7;
const REPORT_COST = 5;
const CAPS = { max: 250, maxPerClient: 100 };
/** Concurrent requests per client, far below its cap: a connection counts a moment longer than its client sees it. */
const LANES = 8;

// The clock is stopped, so nothing is replenished and exactly the quota is admitted.
const clock = testing.manualClock();
after(() => clock.restore());

for (const [title, framework] of Object.entries(FRAMEWORKS)) {
  describe(title, () => {
    const isExpress = framework !== 'fastify';
    const name = freshName();
    const routeName = `${name}:GET /route`;
    const limiter = new RateLimiter(name, { limit: LIMIT, window: '1h' });
    const tracker = new ConnectionTracker(name, CAPS);
    let workers;
    let port;

    before(async () => {
      const guard = { name, rateLimit: { limit: LIMIT, window: '1h' }, connections: CAPS };
      const routeLimit = { limit: ROUTE_LIMIT, window: '1h' };
      const workerData = { framework, guard, routeLimit, reportCost: REPORT_COST };
      workers = Array.from({ length: THREADS }, () => startWorker(workerData));
      const addresses = await Promise.all(workers.map((worker) => once(worker, 'message')));
      const ports = new Set(addresses.map(([address]) => address.port));
      assert.equal(ports.size, 1);
      [port] = ports;
    });

    after(() => Promise.all(workers.map((worker) => worker.terminate())));

    test('each client is admitted exactly its quota, in units, across all threads', async () => {
      const mixed = ['GET /', 'HEAD /', 'GET /report'];
      const answers = await fromClients(port, 10, async (ask) => [
        ...(await ask(60, (turn) => mixed[turn % 3])),
        // A report may cost more than what is left; single units use up the rest.
        ...(await ask(40, (turn) => mixed[turn % 2])),
      ]);
      const served = [];
      for (const [client, all] of answers) {
        assert.equal(all.length, 100);
        for (const answer of all) assertAnswer(answer, [name]);
        const units = all.filter(isServed).map(({ asked }) => (asked === 'GET /report' ? REPORT_COST : 1));
        assert.equal(sum(units), LIMIT, client);
        assert.equal(limiter.peek(client).remaining, 0);
        served.push(...units);
      }
      const { allowed, refused } = limiter.stats();
      assert.deepEqual([allowed, refused], [served.length, 400 - served.length]);
      const threads = new Set([...answers.values()].flat().map(({ headers }) => headers['x-worker']));
      assert.ok(threads.size > 1, 'one thread served every request, so the test proves nothing');
    });

    test('a route limit applies to GET and HEAD together', async () => {
      const methods = ['GET /route', 'HEAD /route'];
      const answers = await fromClients(port, 20, (ask) => ask(40, (turn) => methods[turn % 2]));
      for (const [client, all] of answers) {
        // In Express both middlewares apply and report; in Fastify the route's limit replaces the plugin's.
        for (const answer of all) assertAnswer(answer, isExpress ? [name, routeName] : [routeName]);
        const remaining = all.filter(isServed).map(({ headers }) => quotas(headers).get(routeName).r);
        assert.deepEqual(remaining.sort(), [0, 1, 2, 3, 4, 5, 6], client);
        assert.equal(limiter.peek(client).remaining, isExpress ? LIMIT - 40 : LIMIT);
      }
      assert.equal(new RateLimiter(routeName).stats().allowed, 4 * ROUTE_LIMIT);
    });

    test('connections beyond a cap get a 503 that names the cap', async (t) => {
      await until(() => tracker.count, 0);
      const before = tracker.stats().refused;
      assert.deepEqual(before, { max: 0, maxPerClient: 0, opens: 0, banned: 0 });
      const open = (count, from) =>
        Promise.all(
          Array.from({ length: count }, () => connect(t, { port, host: '127.0.0.1', localAddress: from })),
        );
      const refusedBy = async (reason, from) => {
        for (let i = 0; i < 5; i++) assertRefused(await send(port, 'GET /', { localAddress: from }), reason);
      };
      const sockets = await open(CAPS.maxPerClient, '127.0.0.31');
      await until(() => tracker.countFor('127.0.0.31'), CAPS.maxPerClient);
      await refusedBy('maxPerClient', '127.0.0.31');
      sockets.push(...(await open(100, '127.0.0.32')), ...(await open(50, '127.0.0.33')));
      await until(() => tracker.count, CAPS.max);
      await refusedBy('max', '127.0.0.34');
      assert.deepEqual(tracker.stats().refused, { max: 5, maxPerClient: 5, opens: 0, banned: 0 });
      for (const socket of sockets) socket.destroy();
      await until(() => tracker.count, 0);
    });

    test('terminating a thread under load frees its connections and keeps the quotas exact', async (t) => {
      const idle = [];
      for (let i = 0; i < 40; i++) {
        idle.push(await connect(t, { port, host: '127.0.0.1', localAddress: '127.0.0.41' }));
      }
      await until(() => tracker.count, 40);
      const { perThread } = tracker.stats();
      const doomed = workers.find(({ threadId }) => perThread[threadId] > 0);
      const held = perThread[doomed.threadId];
      const { allowed } = limiter.stats();

      let ended;
      const answers = await fromClients(port, 50, (ask) =>
        ask(200, (turn) => {
          if (turn === 30) ended ??= doomed.terminate();
          return turn % 2 === 0 ? 'GET /' : 'HEAD /';
        }),
      );
      await ended;

      for (const [client, all] of answers) {
        const whole = all.filter(({ error }) => error === undefined);
        for (const answer of whole) assertAnswer(answer, [name]);
        // A lost answer of the terminated thread may have been charged.
        const admitted = whole.filter(isServed).length;
        const lost = all.length - whole.length;
        assert.ok(lost <= 2 * LANES, `${lost} answers lost`);
        assert.ok(admitted <= LIMIT && LIMIT <= admitted + lost, `${admitted} of ${LIMIT}, ${lost} lost`);
        assert.equal(limiter.peek(client).remaining, 0);
      }
      assert.equal(limiter.stats().allowed - allowed, 4 * LIMIT, 'counts of the terminated thread are kept');
      await until(() => tracker.count, 40 - held);
      assert.equal(tracker.stats().perThread[doomed.threadId], undefined);
      await until(() => idle.filter(({ destroyed }) => destroyed).length, held);
      workers = workers.filter((worker) => worker !== doomed);
    });

    test('afterwards no connection is open, and every opened connection has been closed', async () => {
      await until(() => tracker.count, 0);
      const { opened, closed, perThread } = tracker.stats();
      assert.deepEqual([opened - closed, perThread], [0, {}]);
      const counts = await statsOf(workers);
      assert.deepEqual(new Set(counts.map(({ faults }) => faults)), new Set([0]));
      assert.deepEqual(counts[0].connections, tracker.stats());
    });

    test('requests pass after an internal error, which is counted', async () => {
      RateLimiter.destroy(name);
      const answers = await fromClients(port, 60, (ask) => ask(15, () => 'GET /'));
      for (const { status, text } of [...answers.values()].flat()) {
        assert.deepEqual([status, text], [200, 'served']);
      }
      assert.deepEqual(new Set((await statsOf(workers)).map(({ faults }) => faults)), new Set([60]));
    });
  });
}

function startWorker(workerData) {
  const file = new URL('../helpers/loaded-worker.mjs', import.meta.url);
  // The internal error of the last test emits one warning in each thread.
  return new Worker(file, { workerData, execArgv: ['--no-warnings'] });
}

function statsOf(workers) {
  return Promise.all(
    workers.map(async (worker) => {
      worker.postMessage('stats');
      const [stats] = await once(worker, 'message');
      return stats;
    }),
  );
}

/**
 * Runs `script(ask)` for four clients at once, from address 127.0.0.`first` on; every other one keeps its connections
 * alive. `ask(count, (turn) => 'GET /')` sends that many requests over `LANES` lanes. Returns all answers by client.
 */
async function fromClients(port, first, script) {
  const clients = [0, 1, 2, 3].map((n) => ({ address: `127.0.0.${first + n}`, keepAlive: n % 2 === 0 }));
  const entries = clients.map(async ({ address, keepAlive }) => {
    const agent = new http.Agent({ keepAlive, maxSockets: LANES });
    const all = await script((count, requestAt) =>
      inLanes(count, (turn) => send(port, requestAt(turn), { agent, localAddress: address })),
    );
    agent.destroy();
    return [address, all];
  });
  return new Map(await Promise.all(entries));
}

async function inLanes(count, run) {
  const results = [];
  let next = 0;
  const lane = async () => {
    while (next < count) results.push(await run(next++));
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return results;
}

/** The answer to the request `asked`, or the `error` of a connection that ended before it. */
async function send(port, asked, options) {
  const [method, path] = asked.split(' ');
  const request = http.request({ ...options, method, path, port, host: '127.0.0.1' });
  // An error may also follow the head of the response.
  request.on('error', () => {});
  request.end();
  try {
    return { asked, ...(await read(request)) };
  } catch (error) {
    return { asked, error };
  }
}

const isServed = ({ status }) => status === 200;
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** By policy: the remaining units and the time of the `RateLimit` header. */
function quotas({ ratelimit }) {
  const item = /^"([^"]+)";r=(\d+);t=(\d+)$/;
  return new Map(
    ratelimit.split(', ').map((text) => {
      const [, policy, r, t] = item.exec(text);
      return [policy, { r: Number(r), t: Number(t) }];
    }),
  );
}

/** Checks that an answer, served or refused, is complete and has the headers of all policies. */
function assertAnswer({ error, asked, status, headers, text, json }, policies) {
  assert.ifError(error);
  assert.deepEqual([...quotas(headers).keys()], policies);
  const listed = headers['ratelimit-policy'].split(', ');
  assert.deepEqual(
    listed,
    policies.map((policy) => `"${policy}";q=${policy.endsWith('route') ? ROUTE_LIMIT : LIMIT};w=3600`),
  );
  const isHead = asked.startsWith('HEAD');
  if (status === 200) {
    assert.equal(text, isHead ? '' : 'served');
    return;
  }
  assert.equal(status, 429);
  const policy = policies.at(-1);
  const { r, t } = quotas(headers).get(policy);
  assert.ok(r < (asked === 'GET /report' ? REPORT_COST : 1), `refused with ${r} left`);
  assert.ok(t > 0);
  assert.match(headers['retry-after'], /^[1-9]\d*$/);
  assert.equal(headers['content-type'], 'application/problem+json');
  if (isHead) return assert.equal(text, '');
  assert.equal(Number(headers['content-length']), Buffer.byteLength(text));
  const { detail, retryAfterMs, ...fixed } = json;
  assert.equal(Math.ceil(retryAfterMs / 1000), Number(headers['retry-after']));
  assert.equal(detail, `The quota is used up. Try again in ${headers['retry-after']} s.`);
  assert.deepEqual(fixed, {
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    title: 'Quota Exceeded',
    status: 429,
    'violated-policies': [policy],
  });
}

/** Checks the complete 503 answer of a connection that was refused at accept. */
function assertRefused({ error, status, headers, text, json }, reason) {
  assert.ifError(error);
  assert.equal(status, 503);
  assert.equal(headers.connection, 'close');
  assert.equal(headers['retry-after'], '1');
  assert.equal(headers['content-type'], 'application/problem+json');
  assert.equal(Number(headers['content-length']), Buffer.byteLength(text));
  assert.equal(json.type, 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity');
  assert.deepEqual(json['violated-policies'], [reason]);
}
