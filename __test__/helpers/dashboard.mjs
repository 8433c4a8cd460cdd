// Requests to a dashboard: what its page sends, and its event stream.
import { once } from 'node:events';
import http from 'node:http';
import { read } from './http.mjs';

/** POSTs as the dashboard's page does; `headers` replace its own, and one that is `undefined` is left out. */
export async function post(port, path, body, { headers, from = '127.0.0.1' } = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const sent = {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    'X-Sluice-Dashboard': '1',
    'Sec-Fetch-Site': 'same-origin',
    ...headers,
  };
  for (const [name, value] of Object.entries(sent)) if (value === undefined) delete sent[name];
  const request = http.request({
    port,
    path,
    method: 'POST',
    headers: sent,
    agent: false,
    host: '127.0.0.1',
    localAddress: from,
  });
  request.end(text);
  return read(request);
}

/** The event stream at `path`, until the test ends: `next(event)` waits for the data of the next event of that name. */
export async function openStream(t, port, path) {
  const request = http.get({ port, path, host: '127.0.0.1', agent: false });
  const [response] = await once(request, 'response');
  t.after(() => request.destroy());
  const stream = { status: response.statusCode, headers: response.headers, response, request };
  const ended = new Promise((resolve) => response.once('close', resolve));
  const events = [];
  const waiting = [];
  let text = '';
  response.setEncoding('utf8');
  response.on('error', () => {});
  response.on('data', (chunk) => {
    text += chunk;
    const parts = text.split('\n\n');
    text = parts.pop();
    for (const part of parts) {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/s.exec(part) ?? [];
      if (event !== undefined) events.push({ event, data: JSON.parse(data) });
    }
    for (const wake of waiting.splice(0)) wake();
  });
  stream.ended = ended;
  stream.next = async (name) => {
    for (;;) {
      const place = events.findIndex(({ event }) => event === name);
      if (place >= 0) return events.splice(0, place + 1).at(-1).data;
      await new Promise((wake) => waiting.push(wake));
    }
  };
  /** Waits for a snapshot that `accepts` it. */
  stream.until = async (accepts) => {
    for (;;) {
      const snapshot = await stream.next('snapshot');
      if (accepts(snapshot)) return snapshot;
    }
  };
  return stream;
}
