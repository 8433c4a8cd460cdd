// Starts the `redis-server` of the system without persistence.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const START_TIMEOUT_MS = 5_000;

/** On `port`, or a free one. Resolves with its port, `pause`, `resume` and `stop`, or with undefined if it is not installed or does not start. */
export async function startRedis(given) {
  const port = given ?? (await freePort());
  const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = spawn('redis-server', options, { stdio: 'ignore' });
  // Also settles if there is no such program, as `once` rejects on 'error'.
  const ended = once(server, 'exit').catch(() => {});
  const answers = await Promise.race([listens(port), ended.then(() => false)]);
  const stop = () => server.kill();
  const [pause, resume] = ['SIGSTOP', 'SIGCONT'].map((signal) => () => server.kill(signal));
  if (answers) return { port, pause, resume, stop };
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
  for (const endsAt = performance.now() + START_TIMEOUT_MS; performance.now() < endsAt; ) {
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
