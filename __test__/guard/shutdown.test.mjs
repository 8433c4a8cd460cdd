// guard.shutdown(): servers stop accepting, open requests may finish, and the rest is disconnected at the timeout.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import sluice from '../../index.js';
import { keepAliveAgent } from '../helpers/http.mjs';
import { freshNames, manualClock } from '../helpers/setup.mjs';
import { connect, listening, until } from '../helpers/sockets.mjs';

const { createGuard } = sluice;

const freshName = freshNames('guard-shutdown');
const ask = (port, agent) => http.get({ port, host: '127.0.0.1', agent });

test('it waits for requests in flight and closes idle connections', async (t) => {
  const guard = createGuard(freshName(), { connections: { max: 10 } });
  let answer;
  const server = http.createServer((req, res) => {
    answer = () => res.end('whole');
    if (req.url === '/idle') answer();
  });
  guard.attach(server);
  const port = await listening(t, server);
  const agent = keepAliveAgent(t);
  const [first] = await once(http.get({ port, host: '127.0.0.1', path: '/idle', agent }), 'response');
  first.resume();
  await once(first, 'end');
  const slow = ask(port, false);
  await once(server, 'request');

  const down = guard.shutdown({ timeout: '1m' });
  assert.equal(guard.shutdown(), down, 'a second call returns the same promise');
  const refused = net.connect(port, '127.0.0.1');
  assert.equal((await once(refused, 'error'))[0].code, 'ECONNREFUSED');
  await until(() => guard.tracker.count, 1);
  answer();
  const [response] = await once(slow, 'response');
  assert.equal(String(await response.setEncoding('utf8').toArray()), 'whole');
  assert.deepEqual(await down, { drained: true, forced: 0 });
  assert.equal(guard.tracker.count, 0);
});

test('a keep-alive connection closes with its answer', async (t) => {
  const guard = createGuard(freshName());
  let answer;
  const server = http.createServer((_req, res) => {
    answer = () => res.end('whole');
  });
  guard.attach(server);
  const port = await listening(t, server);
  const agent = keepAliveAgent(t);
  const answered = once(ask(port, agent), 'response');
  await once(server, 'request');
  const down = guard.shutdown();
  answer();
  const [response] = await answered;
  assert.equal(String(await response.setEncoding('utf8').toArray()), 'whole');
  assert.deepEqual(await down, { drained: true, forced: 0 });
});

test('after the timeout it closes the remaining connections', async (t) => {
  const clock = manualClock(t);
  const guard = createGuard(freshName(), { connections: { max: 10 } });
  const servers = [net.createServer(() => {}), http.createServer(() => {})];
  for (const server of servers) guard.attach(server);
  const sockets = [];
  for (const server of servers) {
    sockets.push(await connect(t, { port: await listening(t, server), host: '127.0.0.1' }));
  }
  sockets[1].write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(servers[1], 'request');
  await until(() => guard.tracker.count, 2);
  const down = guard.shutdown({ timeout: '5s' });
  clock.advance(4_999);
  assert.equal(guard.tracker.count, 2);
  clock.advance(1);
  assert.deepEqual(await down, { drained: false, forced: 2 });
  await Promise.all(sockets.map(({ gone }) => gone));
  await until(() => guard.tracker.count, 0);
});

test('without a listening server it resolves at once', async (t) => {
  assert.deepEqual(await createGuard(freshName()).shutdown(), { drained: true, forced: 0 });
  const guard = createGuard(freshName());
  guard.attach(http.createServer());
  const closed = http.createServer();
  guard.attach(closed);
  await listening(t, closed);
  closed.close();
  await once(closed, 'close');
  assert.deepEqual(await guard.shutdown(), { drained: true, forced: 0 });
});

test('requests that still arrive are decided as before', async () => {
  const guard = createGuard(freshName(), { rateLimit: { limit: 1, window: '1h' } });
  await guard.shutdown();
  const request = { headers: {}, socket: { remoteAddress: '192.0.2.1' }, url: '/' };
  assert.deepEqual([guard.check(request).status, guard.check(request).status], [undefined, 429]);
});

test('invalid options are rejected', () => {
  const guard = createGuard(freshName());
  for (const options of [{ timeout: 'soon' }, { timeout: -1 }, { after: '1s' }]) {
    assert.throws(() => guard.shutdown(options), { code: 'ERR_SLUICE_INVALID_OPTION' });
  }
});

test('a server that was closed and listens again is closed too', async (t) => {
  const guard = createGuard(freshName());
  const server = http.createServer();
  guard.attach(server);
  await listening(t, server);
  server.close();
  await once(server, 'close');
  await listening(t, server);
  await guard.shutdown();
  assert.equal(server.listening, false);
});
