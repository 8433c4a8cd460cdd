// sluice/express under Express 4 and 5, over real connections. Each loopback address is a separate client.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import express5 from 'express';
import { RateLimiter } from '../../index.js';
import sluice from '../../lib/express.js';
import { serveGuardedExpress, VERSIONS } from '../helpers/express.mjs';
import { ask, connectIdly, keepAliveAgent, read, serve, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const ONCE = { limit: 1, window: '10s' };

const clock = stopClock();
const freshName = freshNames('express');

for (const [version, express] of Object.entries(VERSIONS)) {
  describe(`Express ${version}`, () => {
    const guarded = (t, options, route) =>
      serveGuardedExpress(t, express, { name: freshName(), ...options }, route);

    test('a client without remaining quota gets 429 with Retry-After and a problem document', async (t) => {
      const { port, guard, served } = await guarded(t, { rateLimit: ONCE });
      await ask(port);
      const refused = await ask(port);

      assert.equal(refused.status, 429);
      assert.equal(refused.headers['retry-after'], '10');
      assert.equal(refused.headers['content-type'], 'application/problem+json');
      assert.deepEqual(refused.json, {
        type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
        title: 'Quota Exceeded',
        status: 429,
        detail: 'The quota is used up. Try again in 10 s.',
        retryAfterMs: 10_000,
        'violated-policies': [guard.name],
      });
      assert.equal(served.length, 1);
    });

    test('a client is served again exactly after retryAfterMs', async (t) => {
      const { port } = await guarded(t, { rateLimit: ONCE });
      await ask(port);
      const { retryAfterMs } = (await ask(port)).json;
      clock.advance(retryAfterMs - 1);
      assert.equal((await ask(port)).status, 429);
      clock.advance(1);
      assert.equal((await ask(port)).status, 200);
    });

    test('Retry-After is rounded up to whole seconds', async (t) => {
      const { port } = await guarded(t, { rateLimit: ONCE });
      await ask(port);
      clock.advance(8_999);
      assert.equal((await ask(port)).headers['retry-after'], '2');
    });

    test('each client has its own quota', async (t) => {
      const { port } = await guarded(t, { rateLimit: ONCE });
      assert.deepEqual(await statuses(2, port, { from: '127.0.0.2' }), [200, 429]);
      assert.deepEqual(await statuses(2, port, { from: '127.0.0.3' }), [200, 429]);
    });

    test('the default limit is 100 requests per minute', async (t) => {
      const { port } = await guarded(t, {});
      assert.deepEqual(await statuses(101, port), [...Array(100).fill(200), 429]);
    });

    test('guards with one name share one quota, and other limits are a config mismatch', async (t) => {
      const name = freshName();
      const [one, other] = [
        await guarded(t, { name, rateLimit: ONCE }),
        await guarded(t, { name, rateLimit: ONCE }),
      ];
      assert.equal((await ask(one.port)).status, 200);
      assert.equal((await ask(other.port)).status, 429);
      assert.throws(() => sluice({ name, rateLimit: { ...ONCE, limit: 2 } }), {
        code: 'ERR_SLUICE_CONFIG_MISMATCH',
      });
    });

    test('a route may have its own guard, with its own name and quota', async (t) => {
      const app = express();
      const [common, login] = [freshName(), freshName()];
      app.use(sluice({ name: common, rateLimit: { limit: 3, window: '10s' } }));
      app.get('/login', sluice({ name: login, rateLimit: ONCE }), (_req, res) => res.send('served'));
      app.get('/', (_req, res) => res.send('served'));
      const port = await serve(t, app);

      assert.equal((await ask(port, { path: '/login' })).status, 200);
      assert.deepEqual((await ask(port, { path: '/login' })).json['violated-policies'], [login]);
      assert.equal((await ask(port)).status, 200);
      assert.deepEqual((await ask(port)).json['violated-policies'], [common]);
    });

    test('a guard mounted twice charges each request once, also with another between', async (t) => {
      for (const between of [[], [sluice({ name: freshName(), rateLimit: { limit: 100, window: '10s' } })]]) {
        const app = express();
        const middleware = sluice({ name: freshName(), rateLimit: { limit: 2, window: '10s' } });
        app.use(middleware, ...between);
        app.use('/api', middleware, (_req, res) => res.send('served'));
        assert.deepEqual(await statuses(3, await serve(t, app), { path: '/api' }), [200, 200, 429]);
      }
    });

    test('HEAD shares the quota, and its refusal has no body', async (t) => {
      const { port } = await guarded(t, { rateLimit: ONCE });
      await ask(port);
      const refused = await ask(port, { method: 'HEAD' });
      assert.equal(refused.status, 429);
      assert.equal(refused.headers['content-type'], 'application/problem+json');
      assert.equal(refused.text, '');
    });

    test('a refused upload leaves its connection usable', async (t) => {
      // A busy machine may stop this process for longer than the 2 s of the default.
      const options = { rateLimit: { limit: 2, window: '10s' }, refusedBody: { timeout: '1m' } };
      const { port } = await guarded(t, options);
      const agent = keepAliveAgent(t, { maxSockets: 1 });
      const body = Buffer.alloc(1_000_000);
      await statuses(2, port, { agent });

      const sockets = new Set();
      for (let i = 0; i < 3; i++) {
        const request = http.request({
          port,
          method: 'POST',
          agent,
          host: '127.0.0.1',
          localAddress: '127.0.0.1',
        });
        request.on('socket', (socket) => sockets.add(socket));
        request.end(body);
        assert.equal((await read(request)).status, 429);
      }
      assert.equal(sockets.size, 1);
    });

    describe('connections', () => {
      test('a connection over max gets 503 and is closed', async (t) => {
        const { port, guard } = await guarded(t, { connections: { max: 1 } });
        const agent = keepAliveAgent(t);
        const open = [1, 2].map(() => http.request({ port, agent, host: '127.0.0.1' }));
        await Promise.all(open.map((request) => connected(request)));

        const [held, refused] = [await finish(open[0]), await finish(open[1])];
        assert.equal(held.status, 200);
        assert.equal(refused.status, 503);
        assert.equal(refused.headers.connection, 'close');
        assert.equal(refused.headers['retry-after'], '1');
        assert.deepEqual(refused.json, {
          type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
          title: 'Temporary Reduced Capacity',
          status: 503,
          detail: 'The server has as many connections as it takes.',
          retryAfterMs: 1000,
          'violated-policies': ['max'],
        });
        assert.equal(guard.tracker.count, 1);
      });

      test('after the first request, connections count from accept', async (t) => {
        const { port } = await guarded(t, { connections: { max: 2 } });
        const agent = keepAliveAgent(t);
        await ask(port, { agent });
        await connectIdly(t, port);
        assert.equal((await ask(port)).status, 503);
        assert.equal((await ask(port, { agent })).status, 200);
      });

      /** Waits until the socket of the request is connected; nothing has been sent yet. */
      async function connected(request) {
        const [socket] = await once(request, 'socket');
        if (socket.connecting) await once(socket, 'connect');
      }

      function finish(request) {
        request.end();
        return read(request);
      }
    });

    test('dryRun refuses no request and counts dryRefused', async (t) => {
      const { port, guard } = await guarded(t, { rateLimit: ONCE, dryRun: true });
      assert.deepEqual(await statuses(3, port), [200, 200, 200]);
      const { headers } = await ask(port);
      assert.match(headers.ratelimit, /;r=0;/);
      assert.equal(headers['retry-after'], undefined);
      assert.equal(guard.stats().refused, 0);
      assert.equal(guard.stats().dryRefused, 3);
    });

    test('dryRun refuses no connection', async (t) => {
      const { port, guard } = await guarded(t, { connections: { max: 1 }, dryRun: true });
      const agent = keepAliveAgent(t);
      assert.equal((await ask(port, { agent })).status, 200);
      assert.equal((await ask(port)).status, 200);
      assert.equal(guard.stats().dryRefused, 1);
    });

    test('a request that was answered before is not answered again', async (t) => {
      const app = express();
      const answerFirst = (_req, res, next) => {
        res.send('answered');
        next();
      };
      const middleware = sluice({ name: freshName(), rateLimit: ONCE });
      const seen = [];
      app.use(answerFirst, middleware, () => seen.push('passed'));
      app.use((error, _req, _res, _next) => seen.push(error));
      assert.deepEqual(await statuses(2, await serve(t, app)), [200, 200]);
      assert.deepEqual(seen, ['passed']);
      assert.equal(middleware.guard.stats().refused, 1);
    });

    test('req.sluice is the decision', async (t) => {
      const route = (req, res) => res.json(req.sluice);
      const { port } = await guarded(t, { rateLimit: { limit: 5, window: '5s' } }, route);
      const { outcome, decision, refusal } = (await ask(port)).json;
      assert.equal(outcome, 'allowed');
      assert.equal(refusal, null);
      assert.equal(decision.remaining, 4);
    });

    test('stats() counts the decisions', async (t) => {
      const { port, guard } = await guarded(t, { rateLimit: ONCE, connections: { max: 10 } });
      await statuses(3, port);
      const { allowed, refused, skipped, faults, rateLimit, connections } = guard.stats();
      assert.deepEqual(
        { allowed, refused, skipped, faults },
        { allowed: 1, refused: 2, skipped: 0, faults: 0 },
      );
      assert.deepEqual([rateLimit.allowed, rateLimit.refused], [1, 2]);
      assert.equal(connections.refused.max, 0);
    });

    test('rateLimit: false disables the limit', async (t) => {
      const { port, guard } = await guarded(t, { rateLimit: false });
      const { status, headers } = await ask(port);
      assert.deepEqual([status, headers.ratelimit, guard.limiter], [200, undefined, null]);
    });
  });
}

describe('the client', () => {
  async function startServer(t, options) {
    const middleware = sluice({ name: freshName(), rateLimit: ONCE, ...options });
    return serve(
      t,
      express5().use(middleware, (_req, res) => res.send('served')),
    );
  }

  const forwarded = (list) => ({ headers: { 'x-forwarded-for': list } });

  test('X-Forwarded-For of untrusted clients is ignored, with one warning', async (t) => {
    const port = await startServer(t);
    const warning = nextWarning('SLUICE_UNTRUSTED_FORWARDED_FOR');
    assert.equal((await ask(port, forwarded('203.0.113.1'))).status, 200);
    assert.equal((await ask(port, forwarded('203.0.113.2'))).status, 429);
    await warning;
  });

  test('is the first untrusted hop from the right behind a trusted proxy', async (t) => {
    const port = await startServer(t, { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] });
    assert.equal((await ask(port, forwarded('203.0.113.1, 10.0.0.1'))).status, 200);
    assert.equal((await ask(port, forwarded('203.0.113.1, 10.0.0.2'))).status, 429);
    assert.equal((await ask(port, forwarded('198.51.100.7, 203.0.113.1'))).status, 429);
    assert.equal((await ask(port, forwarded('203.0.113.2'))).status, 200);
  });

  test('is unknown when a trusted proxy forwards no address, and all such requests share one quota', async (t) => {
    const port = await startServer(t, { trustedProxies: ['127.0.0.0/8'] });
    assert.equal((await ask(port, forwarded('203.0.113.1, unknown'))).status, 200);
    assert.equal((await ask(port, forwarded('_hidden'))).status, 429);
  });

  test('may change between requests on one connection of a proxy', async (t) => {
    const port = await startServer(t, { trustedProxies: ['127.0.0.0/8'] });
    const agent = keepAliveAgent(t, { maxSockets: 1 });
    const answers = [];
    for (const client of ['203.0.113.1', '203.0.113.2', '203.0.113.1']) {
      answers.push((await ask(port, { ...forwarded(client), agent })).status);
    }
    assert.deepEqual(answers, [200, 200, 429]);
  });

  test('is the same for all requests over a Unix socket, with one warning', async (t) => {
    const app = express5().use(sluice({ name: freshName(), rateLimit: ONCE }), (_req, res) =>
      res.send('served'),
    );
    const socketPath = path.join(os.tmpdir(), `sluice-${process.pid}.sock`);
    const server = app.listen(socketPath);
    t.after(() => server.close());
    await once(server, 'listening');

    const warning = nextWarning('SLUICE_NO_CLIENT_ADDRESS');
    const statusOf = async () => (await read(http.get({ socketPath, agent: false }))).status;
    assert.deepEqual([await statusOf(), await statusOf()], [200, 429]);
    await warning;
  });
});

test('an internal error admits the request, is counted and warns once', async (t) => {
  const middleware = sluice({ name: freshName(), rateLimit: ONCE });
  const port = await serve(
    t,
    express5().use(middleware, (_req, res) => res.send('served')),
  );
  const warning = nextWarning('SLUICE_GUARD_FAULT');
  RateLimiter.destroy(middleware.guard.name);
  assert.deepEqual(await statuses(2, port), [200, 200]);
  assert.equal(middleware.guard.stats().faults, 2);
  await warning;
});

test('all threads share one quota', async (t) => {
  const name = freshName();
  const workerData = { name, rateLimit: { limit: 30, window: '10s' } };
  const workers = [0, 1, 2, 3].map(
    () => new Worker(new URL('../helpers/express-worker.mjs', import.meta.url), { workerData }),
  );
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  const ports = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));

  const answers = await Promise.all(ports.map((port) => statuses(20, port)));
  assert.equal(answers.flat().filter((status) => status === 200).length, 30);
});

describe('options', () => {
  for (const [options, named] of [
    [{ rateLimits: {} }, 'rateLimits'],
    [{ rateLimit: 100 }, 'rateLimit'],
    [{ rateLimit: { limit: 0, window: '1m' } }, 'limit'],
    [{ connections: true }, 'connections'],
    [{ trustedProxies: '10.0.0.0/8' }, 'trustedProxies'],
    [{ key: 'ip' }, 'key'],
    [{ cost: 0 }, 'cost'],
    [{ skip: [] }, 'skip'],
    [{ handler: {} }, 'handler'],
    [{ headers: 'draft-9' }, 'headers'],
    [{ dryRun: 1 }, 'dryRun'],
  ]) {
    test(`${JSON.stringify(options)} is rejected, naming ${named}`, () => {
      assert.throws(() => sluice({ name: freshName(), ...options }), {
        name: 'SluiceError',
        code: 'ERR_SLUICE_INVALID_OPTION',
        message: new RegExp(`\\b${named}\\b`),
      });
    });
  }

  test('an invalid name is rejected', () => {
    assert.throws(() => sluice({ name: '' }), { code: 'ERR_SLUICE_INVALID_NAME' });
  });
});

async function nextWarning(code) {
  for (;;) {
    const [warning] = await once(process, 'warning', { signal: AbortSignal.timeout(60_000) });
    if (warning.code === code) return warning;
  }
}
