import { once } from 'node:events';
import net from 'node:net';

/**
 * A relay on its own port. It forwards the first `bytes` bytes that a client sends and withholds the rest until
 * `release()`. `arrived` resolves when the client has sent more than that.
 */
export async function heldBack(t, { port, bytes }) {
  const relays = [];
  let release;
  const released = new Promise((resolve) => {
    release = resolve;
  });
  let arrive;
  const arrived = new Promise((resolve) => {
    arrive = resolve;
  });
  const server = net.createServer((client) => {
    const target = net.connect(port, '127.0.0.1');
    relays.push(client, target);
    for (const socket of [client, target]) socket.on('error', () => {});
    target.pipe(client);
    let rest = bytes;
    let held = [];
    client.on('data', (chunk) => {
      target.write(chunk.subarray(0, rest));
      if (chunk.length > rest) {
        if (held === undefined) target.write(chunk.subarray(rest));
        else held.push(chunk.subarray(rest));
        arrive();
      }
      rest = Math.max(rest - chunk.length, 0);
    });
    client.on('close', () => target.destroy());
    released.then(() => {
      target.write(Buffer.concat(held));
      held = undefined;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of relays) socket.destroy();
    server.close();
  });
  return { port: server.address().port, release, arrived };
}
