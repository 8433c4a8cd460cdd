// HTTP requests from several client addresses, and their outcomes by client and by worker.

import http from 'node:http';

/** Concurrent requests per client, each over a new connection, so that every worker serves every client. */
const CONCURRENCY = 12;

/**
 * Sends `requests` requests from each of `clients`. Returns, by client and by worker, how many were answered with
 * 200, with 429 and with anything else.
 */
export async function sendLoad({ host, port, clients, requests, onProgress }) {
  const outcomes = { byClient: new Map(), byWorker: new Map(), sent: 0 };
  const total = clients.length * requests;
  const startedAt = performance.now();
  await Promise.all(
    clients.map(async (client) => {
      const agent = new http.Agent({ localAddress: client });
      let left = requests;
      const sendRest = async () => {
        while (left > 0) {
          left -= 1;
          count(outcomes, client, await get({ host, port, path: '/', agent }));
          outcomes.sent += 1;
          onProgress?.(outcomes.sent, total);
        }
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, sendRest));
      agent.destroy();
    }),
  );
  return { ...outcomes, elapsedMs: performance.now() - startedAt };
}

/** Sends requests at the given rate from each client, until the process ends. Refused connections are left out. */
export function keepSending({ host, port, rates }) {
  for (const [client, rate] of rates) {
    const agent = new http.Agent({ localAddress: client, keepAlive: true });
    setInterval(() => get({ host, port, path: '/', agent }).catch(() => {}), 1000 / rate);
  }
}

function get(options) {
  return new Promise((resolve, reject) => {
    const request = http.get(options, (response) => {
      response.resume();
      response.once('end', () =>
        resolve({ status: response.statusCode, worker: response.headers['x-worker'] }),
      );
    });
    request.once('error', reject);
  });
}

function count({ byClient, byWorker }, client, { status, worker }) {
  for (const [map, key] of [
    [byClient, client],
    [byWorker, worker],
  ]) {
    if (!map.has(key)) map.set(key, { requests: 0, ok: 0, refused: 0, other: 0 });
    const row = map.get(key);
    row.requests += 1;
    row[status === 200 ? 'ok' : status === 429 ? 'refused' : 'other'] += 1;
  }
}
