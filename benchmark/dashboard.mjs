/*
 * What viewers of a dashboard cost a server: CPU time of its process per request, with five event-stream clients beside none.
 * Rounds of both alternate in one server, since they differ by less than two runs do.
 *
 *   node benchmark/dashboard.mjs
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { median } from './statistics.mjs';

const VIEWERS = 5;
const ROUNDS = 12;
const REQUESTS = 15_000;
const AT_ONCE = 32;
const FILE = fileURLToPath(import.meta.url);

if (process.argv[2] === 'server') await serve();
else await measure();

/** A guarded server that answers messages with the CPU time of its process. */
async function serve() {
  const { createGuard } = createRequire(import.meta.url)('..');
  const guard = createGuard('shop', { rateLimit: { limit: 1e6, window: '1m' } });
  const page = guard.dashboard({ path: '/sluice' });
  const protect = guard.http();
  const listener = protect((_req, res) => res.end('served'));
  const server = http.createServer((req, res) => page(req, res, () => listener(req, res)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.on('message', () => process.send(process.cpuUsage()));
  process.send({ port: server.address().port });
}

async function measure() {
  const server = fork(FILE, ['server']);
  const [{ port }] = await once(server, 'message');
  const cpu = async () => {
    server.send('cpu');
    const [{ user, system }] = await once(server, 'message');
    return user + system;
  };
  const costs = { none: [], viewers: [] };
  await send(port);
  for (let round = 0; round < ROUNDS; round++) {
    for (const kind of round % 2 === 0 ? ['none', 'viewers'] : ['viewers', 'none']) {
      const streams = kind === 'none' ? [] : await openStreams(port);
      const before = await cpu();
      await send(port);
      costs[kind].push(((await cpu()) - before) / REQUESTS);
      for (const stream of streams) stream.destroy();
    }
  }
  server.kill();
  const ratios = costs.none.map((cost, round) => costs.viewers[round] / cost);
  console.log(`CPU per request: ${median(costs.none).toFixed(2)} µs without viewers,`);
  console.log(`${median(costs.viewers).toFixed(2)} µs with ${VIEWERS}; ratio ${median(ratios).toFixed(3)}`);
  console.log(
    `(of ${ROUNDS} rounds, from ${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)})`,
  );
}

/** Sends the requests of one round over connections that stay open. */
async function send(port) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  let left = REQUESTS;
  const sendRest = async () => {
    while (left-- > 0) await get({ port, agent });
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sendRest));
  agent.destroy();
}

function get(options) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', path: '/', ...options }, (response) => {
      response.resume();
      response.once('end', resolve);
    });
    request.once('error', reject);
  });
}

function openStreams(port) {
  const open = async () => {
    const request = http.get({ host: '127.0.0.1', port, path: '/sluice/events', agent: false });
    request.on('error', () => {});
    const [response] = await once(request, 'response');
    response.on('error', () => {});
    response.resume();
    return request;
  };
  return Promise.all(Array.from({ length: VIEWERS }, open));
}
