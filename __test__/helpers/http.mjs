import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';

/**
 * Serves `app` on a free loopback port until the test ends. Throws when `app` writes a body that HTTP does not allow.
 */
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

/** Opens a connection that sends nothing. */
export async function connectIdly(t, port) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/**
 * Sends one request from the loopback address `from`; each address of 127.0.0.0/8 is a separate client. Without an
 * agent the connection closes after the answer.
 */
export async function ask(
  port,
  { path = '/', method = 'GET', from = '127.0.0.1', headers, body, agent = false } = {},
) {
  const request = http.request({ port, path, method, headers, agent, host: '127.0.0.1', localAddress: from });
  request.end(body);
  return read(request);
}

/** The complete answer to a request: status, headers, text, and `json` for a JSON body. */
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

/** The statuses of `count` sequential requests. */
export async function statuses(count, port, options) {
  const all = [];
  for (let i = 0; i < count; i++) all.push((await ask(port, options)).status);
  return all;
}

/** An agent whose connections stay open, until the test ends. */
export function keepAliveAgent(t, options = {}) {
  const agent = new http.Agent({ keepAlive: true, ...options });
  t.after(() => agent.destroy());
  return agent;
}
