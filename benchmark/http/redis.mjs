// A Redis of our own, of the system's package manager, that keeps nothing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const PATIENCE_MS = 5_000;

/** Resolves with its port and `stop`, or with undefined where there is none or it does not start. */
export async function startRedis() {
  const port = await freePort();
  const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = spawn('redis-server', options, { stdio: 'ignore' });
  // Also where there is no such program: `once` rejects on an error.
  const ended = once(server, 'exit').catch(() => {});
  const answers = await Promise.race([listens(port), ended.then(() => false)]);
  const stop = () => server.kill();
  if (answers) return { port, stop };
  stop();
  return undefined;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function listens(port) {
  for (const endsAt = performance.now() + PATIENCE_MS; performance.now() < endsAt; ) {
    const socket = connect(port, '127.0.0.1');
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}
