// listen: the threads of a process share a port, which no other process can open.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import express from 'express';
import fastify from 'fastify';
import sluice from '../../index.js';
import { startPeers } from '../helpers/peer.mjs';
import { ask, assertRefused, distinctAnswers, eventually, freePort, host } from '../helpers/shared-port.mjs';
import { connect, until } from '../helpers/sockets.mjs';

const { listen } = sluice;

/** Runs in a peer: a server that answers with its thread id, and `/slow` when `state.finish` is called. */
const serve = async ({ load, require, state }, options) => {
  const { threadId } = require('node:worker_threads');
  state.server = require('node:http').createServer((req, res) => {
    res.setHeader('Connection', 'close');
    if (req.url === '/slow') {
      state.finish = () => res.end('slow');
    } else res.end(String(threadId));
  });
  return (await load().listen(state.server, options)).port;
};

const close = ({ state }) => void state.server.close();

const hasRequest = ({ state }) => 'finish' in state;

for (const given of ['a port', 'port 0']) {
  test(`four threads share ${given}`, async (t) => {
    const peers = startPeers(t, 4);
    const wanted = given === 'port 0' ? 0 : await freePort();
    const ports = await Promise.all(peers.map((peer) => peer.run(serve, { port: wanted, host })));
    const [port] = ports;
    assert.deepEqual(ports, [port, port, port, port]);
    assert.equal(wanted === 0 ? port > 0 : port === wanted, true);
    // The last server left answers every request.
    for (const peer of peers.slice(0, 3)) await peer.run(close);
    for (let i = 0; i < 5; i++) assert.equal(await ask(port), String(peers[3].threadId));
    await peers[3].run(close);
    await assertRefused(port);
  });
}

test('every thread that shares a port is given connections', async (t) => {
  const peers = startPeers(t, 4);
  const [port] = await Promise.all(peers.map((peer) => peer.run(serve, { port: 0, host })));
  const seen = await distinctAnswers(4, () => ask(port));
  assert.deepEqual([...seen].sort(), peers.map(({ threadId }) => String(threadId)).sort());
});

test('when a thread is terminated with a request in flight, the other threads serve', async (t) => {
  const peers = startPeers(t, 2);
  const [first, second] = peers;
  const port = await first.run(serve, { port: 0, host });
  const inFlight = ask(port, '/slow').catch((error) => error.code ?? 'ended');
  await eventually(() => first.run(hasRequest));
  assert.equal(await second.run(serve, { port, host }), port);
  await first.end();
  assert.equal((await inFlight) ?? 'ended', 'ended', 'its request ends without an answer');
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(port)));
  assert.deepEqual(new Set(answers), new Set([String(second.threadId)]));
  await second.end();
  await assertRefused(port);
});

test('the main thread shares the port too', async (t) => {
  const [peer] = startPeers(t, 1);
  const server = http.createServer((_req, res) => res.setHeader('Connection', 'close').end('main'));
  const { port } = await listen(server, { port: 0, host });
  assert.equal(await peer.run(serve, { port, host }), port);
  await peer.run(close);
  assert.equal(await ask(port), 'main');
  server.close();
  await assertRefused(port);
});

test('a closing server stops accepting at once, and completes its last request', async (t) => {
  const [peer] = startPeers(t, 1);
  const port = await freePort();
  await peer.run(serve, { port, host });
  const inFlight = ask(port, '/slow');
  await eventually(() => peer.run(hasRequest));
  await peer.run(close);
  await assertRefused(port);
  await peer.run(({ state }) => void state.finish());
  assert.equal(await inFlight, 'slow');
  assert.equal(await peer.run(serve, { port, host }), port, 'the port can be used again');
});

test('a port taken by a server that did not use listen is EADDRINUSE', async (t) => {
  const other = net.createServer().listen(0, host);
  t.after(() => other.close());
  await once(other, 'listening');
  const { port } = other.address();
  const inUse = { code: 'EADDRINUSE', syscall: 'listen', address: host, port, errno: -98 };
  if (process.platform !== 'linux') delete inUse.errno;
  await assert.rejects(listen(net.createServer(), { port, host }), inUse);
});

test('two servers of one thread get two ports on port 0, and EADDRINUSE on one port', async (t) => {
  const [peer] = startPeers(t, 1);
  const servers = [net.createServer(), net.createServer(), net.createServer()];
  t.after(() => {
    for (const server of servers) server.close();
  });
  const first = await listen(servers[0], { port: 0, host });
  const second = await listen(servers[1], { port: 0, host });
  assert.notEqual(first.port, second.port);
  await assert.rejects(listen(servers[2], { port: first.port, host }), { code: 'EADDRINUSE' });
  // The n-th servers on port 0 of all threads share a port.
  assert.deepEqual(
    [await peer.run(serve, { port: 0, host }), await peer.run(serve, { port: 0, host })],
    [first.port, second.port],
  );
});

test('a closed server may listen again', async () => {
  const server = net.createServer();
  const ports = [];
  for (let i = 0; i < 3; i++) {
    const { port } = await listen(server, { port: 0, host });
    ports.push(server.address().port === port);
    server.close();
    await assertRefused(port);
    await until(() => server.listening, false);
  }
  assert.deepEqual(ports, [true, true, true]);
});

test('a listening server rejects a second listen and keeps its port', async (t) => {
  const server = net.createServer();
  t.after(() => server.close());
  const { port } = await listen(server, { port: 0, host });
  await assert.rejects(listen(server, { port: 0, host }), { code: 'ERR_SERVER_ALREADY_LISTEN' });
  (await connect(t, { port, host })).destroy();
});

test('host may be a name; without host the server listens on all addresses', async () => {
  for (const host of ['localhost', undefined, '0.0.0.0']) {
    const server = net.createServer((socket) => socket.end());
    const { port } = await listen(server, { port: 0, host });
    const socket = net.connect(port, host === 'localhost' ? host : '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
    server.close();
  }
});

const onLinux = { skip: process.platform !== 'linux' && 'other systems round the backlog up' };
test('backlog bounds the connections that wait to be accepted', onLinux, async (t) => {
  const server = net.createServer();
  t.after(() => server.close());
  const { port } = await listen(server, { port: 0, host, backlog: 3 });
  const connect = `
    const sockets = Array.from({ length: 20 }, () => require('node:net').connect(${port}, '${host}').on('error', () => {}));
    const report = () => {
      console.log(sockets.filter((socket) => !socket.connecting).length);
      process.exit();
    };
    // A turn later: a process that was suspended reads what has happened.
    setTimeout(setImmediate, 500, report);`;
  // spawnSync blocks this thread, so it accepts nothing. Linux queues one connection more than the backlog.
  const { stdout } = spawnSync(process.execPath, ['-e', connect], { encoding: 'utf8' });
  assert.ok(Number(stdout) >= 1 && Number(stdout) <= 4, `${stdout} connections`);
});

test('an address that is not local, or unknown, rejects with the code of the system', async () => {
  await assert.rejects(listen(net.createServer(), { port: 0, host: '192.0.2.1' }), { code: 'EADDRNOTAVAIL' });
  await assert.rejects(listen(net.createServer(), { port: 0, host: 'no.such.host.invalid' }), (error) =>
    ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL'].includes(error.code),
  );
});

test('an invalid server or option is rejected', async () => {
  const server = net.createServer();
  const invalidArguments = [
    [undefined, { port: 0 }, /^listen server is undefined; accepted: a server of net/],
    [{}, { port: 0 }, /^listen server is an object/],
    [
      express(),
      { port: 0 },
      /^listen server is a function; .* such as http\.createServer\(app\) for Express/,
    ],
    [fastify(), { port: 0 }, /^listen server is an object; .* or app\.server of Fastify/],
    [server, undefined, /^listen options is undefined; accepted: an object/],
    [server, {}, /^listen port is undefined; accepted: a value for it; required: port/],
    [server, { port: -1 }, /^listen port is -1; accepted: an integer from 0 to 65535/],
    [server, { port: 65_536 }, /port is 65536/],
    [server, { port: '80' }, /port is "80"/],
    [server, { port: 0, host: '' }, /host is ""; accepted: an address or a host name/],
    [server, { port: 0, host: 7 }, /host is 7/],
    [server, { port: 0, backlog: 0 }, /backlog is 0/],
    [server, { port: 0, path: '/x' }, /has no option "path"/],
  ];
  for (const [server, options, message] of invalidArguments) {
    await assert.rejects(listen(server, options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
  }
  assert.equal(server.listening, false);
});
