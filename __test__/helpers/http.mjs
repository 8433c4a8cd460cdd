import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';

/** Serves `app` on a free loopback port until the test ends. A body where HTTP has none is an error there. */
export async function serve(t, app) {
  const server = http.createServer({ rejectNonStandardBodyWrites: true }, app);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return server.address().port;
}

/** A connection on which nothing is asked; resolves when it stands. */
export async function connectIdly(t, port) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/**
 * One request from the loopback address `from`: every address of 127.0.0.0/8 is a client of its own. Without
 * an agent the connection closes after the answer.
 */
export async function ask(
  port,
  { path = '/', method = 'GET', from = '127.0.0.1', headers, body, agent = false } = {},
) {
  const request = http.request({ port, path, method, headers, agent, host: '127.0.0.1', localAddress: from });
  request.end(body);
  return read(request);
}

/** The whole answer to a request: status, headers, text, and `json` when it is some. */
export async function read(request) {
  const [response] = await once(request, 'response');
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const isJson = /json/.test(response.headers['content-type'] ?? '') && text !== '';
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : undefined,
  };
}

/** The statuses of `count` requests, one after the other. */
export async function statuses(count, port, options) {
  const all = [];
  for (let i = 0; i < count; i++) all.push((await ask(port, options)).status);
  return all;
}
