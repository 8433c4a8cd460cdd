import { once } from 'node:events';
import http from 'node:http';
import { Server } from 'socket.io';
import { io as connectTo } from 'socket.io-client';

/** A server of Socket.IO behind `protect`, until the test ends. Each `message` is echoed. */
export async function serveSocketIo(t, protect, options) {
  const server = http.createServer();
  const io = protect(new Server(server, options));
  const seen = [];
  io.on('connection', (socket) =>
    socket.on('message', (value, acknowledge) => {
      seen.push(value);
      socket.emit('message', value);
      acknowledge?.('done');
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => io.close());
  return { io, seen, port: server.address().port };
}

/** A connected client, with what it `received` and why it was `ended`. */
export async function open(t, port, options) {
  const answer = await attempt(t, port, options);
  if (answer.client === undefined) throw new Error(`refused: ${answer.refused}`);
  return answer.client;
}

/** `{ client }`, or `{ refused }`, the text of the answer that refuses the handshake. */
export function attempt(t, port, { namespace = '', from, headers, transports = ['websocket'], path } = {}) {
  const client = connectTo(`http://127.0.0.1:${port}${namespace}`, {
    forceNew: true,
    reconnection: false,
    transports,
    path,
    extraHeaders: headers,
    localAddress: from,
    agent: from === undefined ? undefined : new http.Agent({ localAddress: from }),
  });
  t.after(() => client.disconnect());
  client.received = [];
  client.on('message', (value) => client.received.push(value));
  client.told = [];
  client.on('sluice:closed', (told) => client.told.push(told));
  client.ended = new Promise((resolve) => client.once('disconnect', resolve));
  return new Promise((resolve) => {
    client.once('connect', () => resolve({ client }));
    client.once('connect_error', ({ message, description, context }) =>
      resolve({ refused: context?.responseText || (description?.message ?? message) }),
    );
  });
}
