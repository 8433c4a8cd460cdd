'use strict';

// A gateway and four threads behind it. Two rolling restarts replace all four under constant load, and no request fails.
// Then a thread dies and is replaced. Finally everything shuts down together, after the pending requests are answered.

const { generateKeyPairSync } = require('node:crypto');
const { once } = require('node:events');
const http = require('node:http');
const { ClientHub } = require('sluice');
const { ask, check, repeat, tally, until } = require('../stage');
const { startGateway } = require('./gateway');
const { tokenOf } = require('./key-set');

/** A server that publishes the key with which tokens are signed, and counts the requests for it. */
async function startKeyServer() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const keys = { keys: [publicKey.export({ format: 'jwk' })] };
  let requests = 0;
  const server = http.createServer((_req, res) => {
    requests += 1;
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify(keys));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}/`;
  return { url, token: tokenOf('anna', privateKey), requests: () => requests, close: () => close(server) };
}

function close(server) {
  server.closeAllConnections();
  return new Promise((closed) => server.close(closed));
}

/** Clients that each send one request after another. Returns a function that stops them and resolves with the answers. */
function clients(count, request) {
  const answers = [];
  let isOver = false;
  const client = async () => {
    while (!isOver) answers.push(await request());
  };
  const all = Promise.all(Array.from({ length: count }, client));
  return async () => {
    isOver = true;
    await all;
    return answers;
  };
}

const threadIds = ({ workers }) => workers.map(({ threadId }) => threadId);
const isNew = (before) => (id) => !before.includes(id);

async function main() {
  const keyServer = await startKeyServer();
  const { port, workers, lifecycle, broker } = await startGateway(keyServer.url);
  const agent = new http.Agent({ keepAlive: true });
  const headers = { authorization: keyServer.token };
  const order = (options) => ask(port, '/orders/7', { headers, agent, ...options });

  console.log('Four threads answer');
  const first = await repeat(400, 40, () => order());
  check('statuses', tally(first.map(({ status }) => status)), '200 × 400');
  check('threads that answered', new Set(first.map(({ text }) => JSON.parse(text).by)).size, 4);
  check('an unsigned token', (await order({ headers: { authorization: 'anna.forged' } })).status, 401);
  check('an endpoint without a handler', (await ask(port, '/nothing', { headers, agent })).status, 404);
  check('requests for the key set', keyServer.requests(), 1);

  console.log('Two rolling restarts under load');
  const stop = clients(24, () => order());
  for (let round = 1; round <= 2; round++) {
    const before = threadIds(workers);
    await workers.restart();
    check(`new threads after restart ${round}`, threadIds(workers).filter(isNew(before)).length, 4);
  }
  const answers = await stop();
  check('failed requests', answers.filter(({ status }) => status !== 200).length, 0);
  check('more than 100 requests answered', answers.length > 100, true);
  check('requests for the key set, with eight new threads', keyServer.requests(), 1);

  console.log('The key set is invalidated for all threads');
  new ClientHub('gateway').invalidate('key set');
  const later = await repeat(80, 20, () => order());
  check('statuses', tally(later.map(({ status }) => status)), '200 × 80');
  check('requests for the key set', keyServer.requests(), 2);

  console.log('A thread dies and is replaced');
  const died = new Promise((resolve) => workers.once('exit', resolve));
  check('the request that it was handling', (await ask(port, '/crash', { headers, agent })).status, 502);
  check('its end was requested', (await died).asked, false);
  await until(() => workers.workers.filter(({ state }) => state === 'up').length === 4);
  check('running threads', workers.workers.filter(({ state }) => state === 'up').length, 4);
  check('an order', (await order()).status, 200);

  console.log('Everything shuts down together');
  const reports = repeat(12, 12, () => ask(port, '/reports', { headers }));
  await until(() => broker.stats().inFlight === 12);
  const report = await lifecycle.shutdown({ reason: 'the example is over', timeout: '20s' });
  check(
    'long requests pending at the shutdown',
    tally((await reports).map(({ status }) => status)),
    '200 × 12',
  );
  check('drained, forced, left', [report.drained, report.forced, report.tasksLeft], [true, 0, 0]);
  check(
    'hooks',
    report.hooks.map(({ name, ok }) => `${name} ${ok}`),
    'workers true',
  );
  check('running threads', workers.workers.length, 0);
  const refused = await order().catch((error) => error.code);
  check('a request after the shutdown', refused, 'ECONNREFUSED');
  agent.destroy();
  await keyServer.close();
}

main();
