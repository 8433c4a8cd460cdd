'use strict';

// A Redis server for the example, on a free port of loopback. It needs `redis-server` in the PATH, or at SLUICE_TEST_REDIS.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');

const PROGRAM = process.env.SLUICE_TEST_REDIS ?? 'redis-server';

/** Resolves with its url, `pause`, `resume` and `stop`; with undefined where there is no such program. */
async function startRedis() {
  const port = await freePort();
  const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = spawn(PROGRAM, options, { stdio: 'ignore' });
  const ended = once(server, 'exit').catch(() => {});
  const answers = await Promise.race([listens(port), ended.then(() => false)]);
  if (!answers) return undefined;
  process.once('exit', () => server.kill('SIGKILL'));
  return {
    url: `redis://127.0.0.1:${port}`,
    pause: () => server.kill('SIGSTOP'),
    resume: () => server.kill('SIGCONT'),
    stop: () => server.kill('SIGKILL'),
  };
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function listens(port) {
  for (let turn = 0; turn < 400; turn++) {
    const socket = net.connect(port, '127.0.0.1');
    const isConnected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isConnected) return true;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return false;
}

module.exports = { startRedis };
