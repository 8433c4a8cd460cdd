// Functions of the user that throw, in options of guards and attached servers: rows of docs/user-functions.md.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import express from 'express';
import Fastify from 'fastify';
import sluice from '../../index.js';
import sluiceExpress from '../../lib/express.js';
import sluiceFastify from '../../lib/fastify.js';
import { freshName } from '../helpers/peer.mjs';
import { BROKEN, is, own, rejecting, throwing, warningsOf } from './user-functions.mjs';

const { ConnectionTracker, createGuard } = sluice;

const ONCE = { limit: 1, window: '1h' };

for (const option of ['key', 'cost', 'skip', 'limit', 'handler']) {
  const optionsWith = (fails) => {
    if (option === 'limit') return { rateLimit: { limit: fails, window: '1h' } };
    return { rateLimit: ONCE, ...(option === 'handler' && { cost: 2 }), [option]: fails };
  };

  const ways = [...Object.entries({ throwing, rejecting }), ...Object.entries(BROKEN)];
  for (const [way, fails] of ways) {
    test(`${option} that is ${way}: the error reaches Express’s error handler, and no request passes`, async (t) => {
      const app = express();
      const failed = [];
      const served = [];
      app.use(sluiceExpress({ name: freshName(), ...optionsWith(fails) }));
      app.get('/', (_, res) => res.end(served.push('served')));
      app.use((error, _req, res, _next) => {
        failed.push([error, res.statusCode]);
        res.status(500).end();
      });
      const server = http.createServer(app).listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => server.close());
      const { status } = await fetch(`http://127.0.0.1:${server.address().port}/`);
      assert.deepEqual([status, failed, served], [500, [[own, 200]], []]);
    });

    test(`${option} that is ${way}: the error reaches Fastify’s error handler, and no request passes`, async (t) => {
      const fastify = Fastify();
      t.after(() => fastify.close());
      const failed = [];
      fastify.setErrorHandler((error, _request, reply) => {
        failed.push(error);
        return reply.code(500).send('failed');
      });
      await fastify.register(sluiceFastify, { name: freshName(), ...optionsWith(fails) });
      fastify.get('/', async () => 'served');
      assert.equal((await fastify.inject('/')).statusCode, 500);
      assert.deepEqual(failed, [own]);
    });

    if (option === 'handler') continue;
    test(`${option} that is ${way}: check() throws the error or rejects with it, and charges nothing`, async () => {
      const guard = createGuard(freshName(), optionsWith(fails));
      const req = { headers: {}, socket: { remoteAddress: '192.0.2.1' } };
      await assert.rejects(async () => guard.check(req), is(own));
      assert.deepEqual([guard.limiter.stats().allowed, guard.stats().faults], [0, 0]);
    });
  }
}

test('clientAddress: the request counts as from an unknown client; one warning is emitted', async () => {
  const failing = { throwing, rejecting, ...BROKEN, nothing: () => undefined };
  const warnings = await warningsOf('SLUICE_UNREADABLE_CLIENT_ADDRESS', async () => {
    for (const clientAddress of Object.values(failing)) {
      const guard = createGuard(freshName(), { rateLimit: { limit: 2, window: '1h' }, clientAddress });
      const answers = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((remoteAddress) =>
        guard.check({ headers: {}, socket: { remoteAddress } }),
      );
      assert.deepEqual(
        answers.map(({ allowed }) => allowed),
        [true, true, false],
      );
      assert.equal(answers[0].client.key, 'unknown');
    }
  });
  assert.equal(warnings.length, 1);
});

for (const onRefused of [throwing, rejecting]) {
  test(`onRefused that is ${onRefused.name}: the socket gets the default refusal; one warning is emitted`, async (t) => {
    const tracker = new ConnectionTracker(freshName(), { max: 1 });
    const server = http.createServer((_, res) => res.end('served'));
    tracker.attach(server, { onRefused });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const held = net.connect(port, '127.0.0.1');
    t.after(() => {
      held.destroy();
      server.close();
    });
    while (tracker.count === 0) await turn();
    const warnings = await warningsOf('SLUICE_ON_REFUSED', async () => {
      for (let i = 0; i < 3; i++) {
        const response = await fetch(`http://127.0.0.1:${port}/`);
        assert.deepEqual([response.status, (await response.json()).status], [503, 503]);
      }
    });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0].message, /onRefused failed; sockets get the default refusal: own error$/);
    assert.equal(warnings[0].detail, own.stack);
    assert.equal(tracker.count, 1);
  });
}
