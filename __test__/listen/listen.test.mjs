// listen: the threads of a process share a port, which nobody else has.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import express from 'express';
import fastify from 'fastify';
import sluice from '../../index.js';
import { startPeers } from '../helpers/peer.mjs';
import { connect, readAll, until } from '../helpers/sockets.mjs';

const { listen } = sluice;

const host = '127.0.0.1';

/** In a peer: a server that tells its thread. `/slow` is answered when `state.finish` is called. */
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

/** What the server answers; rejects with the system's code. */
async function ask(port, path = '/') {
  const socket = net.connect(port, host);
  // The server closes; a client that ended first would not be waited for.
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await once(socket, 'connect');
  return (await readAll(socket)).split('\r\n\r\n')[1];
}

const isRefused = (port) => assert.rejects(ask(port), { code: 'ECONNREFUSED' });

async function freePort() {
  const server = net.createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

for (const given of ['a port', 'port 0']) {
  test(`four threads share ${given}`, async (t) => {
    const peers = startPeers(t, 4);
    const wanted = given === 'port 0' ? 0 : await freePort();
    const ports = await Promise.all(peers.map((peer) => peer.run(serve, { port: wanted, host })));
    const [port] = ports;
    assert.deepEqual(ports, [port, port, port, port]);
    assert.equal(wanted === 0 ? port > 0 : port === wanted, true);
    // Each one serves as long as it is the only one left.
    for (const peer of peers.slice(0, 3)) await peer.run(close);
    for (let i = 0; i < 5; i++) assert.equal(await ask(port), String(peers[3].threadId));
    await peers[3].run(close);
    await isRefused(port);
  });
}

test('each of the threads that share a port is given connections', async (t) => {
  const peers = startPeers(t, 4);
  const [port] = await Promise.all(peers.map((peer) => peer.run(serve, { port: 0, host })));
  const seen = new Set();
  for (let i = 0; i < 2000 && seen.size < 4; i++) {
    for (const answer of await Promise.all(Array.from({ length: 20 }, () => ask(port)))) seen.add(answer);
  }
  assert.deepEqual([...seen].sort(), peers.map(({ threadId }) => String(threadId)).sort());
});

test('a thread that is terminated with requests in flight leaves the others serving', async (t) => {
  const peers = startPeers(t, 2);
  const [first, second] = peers;
  const port = await first.run(serve, { port: 0, host });
  const inFlight = ask(port, '/slow').catch((error) => error.code ?? 'ended');
  while (!(await first.run(({ state }) => 'finish' in state))) await pause(1);
  assert.equal(await second.run(serve, { port, host }), port);
  await first.end();
  assert.equal((await inFlight) ?? 'ended', 'ended', 'its own request ends with it');
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(port)));
  assert.deepEqual(new Set(answers), new Set([String(second.threadId)]));
  await second.end();
  await isRefused(port);
});

test('the main thread shares too', async (t) => {
  const [peer] = startPeers(t, 1);
  const server = http.createServer((_req, res) => res.setHeader('Connection', 'close').end('main'));
  const { port } = await listen(server, { port: 0, host });
  assert.equal(await peer.run(serve, { port, host }), port);
  await peer.run(close);
  assert.equal(await ask(port), 'main');
  server.close();
  await isRefused(port);
});

test('a server that closes accepts no more at once, though its last request ends later', async (t) => {
  const [peer] = startPeers(t, 1);
  const port = await peer.run(serve, { port: 0, host });
  const inFlight = ask(port, '/slow');
  while (!(await peer.run(({ state }) => 'finish' in state))) await pause(1);
  await peer.run(close);
  await isRefused(port);
  await peer.run(({ state }) => void state.finish());
  assert.equal(await inFlight, 'slow');
  assert.equal(await peer.run(serve, { port, host }), port, 'and the port can be had again');
});

test('a port that another process, or another server of this one, has is EADDRINUSE', async (t) => {
  const other = net.createServer().listen(0, host);
  t.after(() => other.close());
  await once(other, 'listening');
  const { port } = other.address();
  const inUse = { code: 'EADDRINUSE', syscall: 'listen', address: host, port, errno: -98 };
  if (process.platform !== 'linux') delete inUse.errno;
  await assert.rejects(listen(net.createServer(), { port, host }), inUse);
});

test('two servers of one thread on port 0 get two ports; on one port the second is told EADDRINUSE', async (t) => {
  const [peer] = startPeers(t, 1);
  const servers = [net.createServer(), net.createServer(), net.createServer()];
  t.after(() => {
    for (const server of servers) server.close();
  });
  const first = await listen(servers[0], { port: 0, host });
  const second = await listen(servers[1], { port: 0, host });
  assert.notEqual(first.port, second.port);
  await assert.rejects(listen(servers[2], { port: first.port, host }), { code: 'EADDRINUSE' });
  // The n-th server of each thread on port 0 shares with the n-th of the others.
  assert.deepEqual(
    [await peer.run(serve, { port: 0, host }), await peer.run(serve, { port: 0, host })],
    [first.port, second.port],
  );
});

test('a server may listen again after it has closed', async () => {
  const server = net.createServer();
  const ports = [];
  for (let i = 0; i < 3; i++) {
    const { port } = await listen(server, { port: 0, host });
    ports.push(server.address().port === port);
    server.close();
    await isRefused(port);
    await until(() => server.listening, false);
  }
  assert.deepEqual(ports, [true, true, true]);
});

test('a server that listens already keeps its port', async (t) => {
  const server = net.createServer();
  t.after(() => server.close());
  const { port } = await listen(server, { port: 0, host });
  await assert.rejects(listen(server, { port: 0, host }), { code: 'ERR_SERVER_ALREADY_LISTEN' });
  (await connect(t, { port, host })).destroy();
});

test('a host may be a name, and without one all addresses are meant', async () => {
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
test('no more than `backlog` connections wait to be accepted', onLinux, async (t) => {
  const server = net.createServer();
  t.after(() => server.close());
  const { port } = await listen(server, { port: 0, host, backlog: 3 });
  const connect = `
    const sockets = Array.from({ length: 20 }, () => require('node:net').connect(${port}, '${host}').on('error', () => {}));
    setTimeout(() => {
      console.log(sockets.filter((socket) => !socket.connecting).length);
      process.exit();
    }, 500);`;
  // This thread accepts nothing meanwhile. Linux lets one more than the backlog wait.
  const { stdout } = spawnSync(process.execPath, ['-e', connect], { encoding: 'utf8' });
  assert.ok(Number(stdout) >= 1 && Number(stdout) <= 4, `${stdout} connections`);
});

test('an address that is not ours is the system’s error', async () => {
  await assert.rejects(listen(net.createServer(), { port: 0, host: '192.0.2.1' }), { code: 'EADDRNOTAVAIL' });
  await assert.rejects(listen(net.createServer(), { port: 0, host: 'no.such.host.invalid' }), (error) =>
    ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL'].includes(error.code),
  );
});

test('what is no server or no port is a mistake', async () => {
  const server = net.createServer();
  const mistakes = [
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
  for (const [server, options, message] of mistakes) {
    await assert.rejects(listen(server, options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
  }
  assert.equal(server.listening, false);
});
