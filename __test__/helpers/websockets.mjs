import { once } from 'node:events';
import http from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';

/** A server of ws behind `protect`, until the test ends. Each socket is greeted, and each message echoed. */
export async function serveWebSockets(t, protect) {
  const sockets = protect(new WebSocketServer({ port: 0, host: '127.0.0.1' }));
  const seen = [];
  sockets.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data) => {
      seen.push(String(data));
      socket.send(String(data));
    });
    socket.send('welcome');
  });
  await once(sockets, 'listening');
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
  });
  return { sockets, seen, port: sockets.address().port };
}

/** An open socket of the client `from` that was greeted, with what it `received` and how it `closed`. */
export async function open(port, options) {
  const answer = await attempt(port, options);
  if (answer.socket === undefined) throw new Error(`refused with ${answer.status}`);
  return answer.socket;
}

/** `{ socket }`, or the answer that refuses the handshake: `{ status, headers, json }`. */
export function attempt(port, { from = '127.0.0.1', headers = {}, path = '/' } = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { localAddress: from, headers });
  const received = [];
  socket.received = received;
  socket.closed = new Promise((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: String(reason) }));
  });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (data) => {
      if (received.push(String(data)) === 1) resolve({ socket });
    });
    socket.once('unexpected-response', async (_request, response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve({ status: response.statusCode, headers: response.headers, json: JSON.parse(text) });
    });
  });
}

/** The statuses of `count` handshakes, of which admitted ones are 101 and stay open. */
export async function statuses(count, port, options) {
  const all = [];
  for (let i = 0; i < count; i++) all.push((await attempt(port, options)).status ?? 101);
  return all;
}

/** The status of a handshake with these headers, which `ws` itself refuses. */
export async function badHandshake(port) {
  const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'none' };
  const request = http.request({ port, host: '127.0.0.1', headers });
  request.end();
  const [response] = await once(request, 'response');
  response.resume();
  await once(response, 'close');
  return response.statusCode;
}
