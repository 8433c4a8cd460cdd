import { once } from 'node:events';
import net from 'node:net';

const given = new Set();

/**
 * A free port of a range that no other kind of test uses, each once in a process. Ranges lie below those of which systems
 * give ports to sockets that ask for any: no other test takes one before its server listens, or while that is down.
 */
export async function freePortIn({ first, count }) {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

async function isFree(port) {
  const server = net.createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
