'use strict';

// A gateway and four threads behind it. All four are replaced twice, one after the other, while clients ask without a pause; no
// request fails. Then one dies, and at last everything stops together, with answers for those who had asked.

const { generateKeyPairSync } = require('node:crypto');
const { once } = require('node:events');
const http = require('node:http');
const { ClientHub } = require('sluice');
const { ask, check, repeat, tally, until } = require('../stage');
const { startGateway } = require('./gateway');
const { tokenOf } = require('./key-set');

/** Who signs tokens, and tells with which key; it counts how often it is asked for that. */
async function startKeyServer() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const keys = { keys: [publicKey.export({ format: 'jwk' })] };
  let asked = 0;
  const server = http.createServer((_req, res) => {
    asked += 1;
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify(keys));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}/`;
  return { url, token: tokenOf('anna', privateKey), asked: () => asked, close: () => close(server) };
}

function close(server) {
  server.closeAllConnections();
  return new Promise((closed) => server.close(closed));
}

/** Clients that ask one question after the other until they are told to stop. */
function clients(count, question) {
  const answers = [];
  let isOver = false;
  const client = async () => {
    while (!isOver) answers.push(await question());
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
  check('an endpoint that nobody serves', (await ask(port, '/nothing', { headers, agent })).status, 404);
  check('the key set was fetched', keyServer.asked(), 1);

  console.log('All are replaced twice, under load');
  const stop = clients(24, () => order());
  for (let round = 1; round <= 2; round++) {
    const before = threadIds(workers);
    await workers.restart();
    check(`threads that are new after round ${round}`, threadIds(workers).filter(isNew(before)).length, 4);
  }
  const answers = await stop();
  check('requests that failed', answers.filter(({ status }) => status !== 200).length, 0);
  check('requests answered, as they should be more than 100', answers.length > 100, true);
  check('the key set was fetched, by eight new threads', keyServer.asked(), 1);

  console.log('New keys, for all at once');
  new ClientHub('gateway').invalidate('key set');
  const later = await repeat(80, 20, () => order());
  check('statuses', tally(later.map(({ status }) => status)), '200 × 80');
  check('the key set was fetched', keyServer.asked(), 2);

  console.log('A thread dies, and another takes its place');
  const died = new Promise((resolve) => workers.once('exit', resolve));
  check('who asked it', (await ask(port, '/crash', { headers, agent })).status, 502);
  check('it was asked to end', (await died).asked, false);
  await until(() => workers.workers.filter(({ state }) => state === 'up').length === 4);
  check('threads that are up', workers.workers.filter(({ state }) => state === 'up').length, 4);
  check('an order', (await order()).status, 200);

  console.log('Everything stops together');
  const reports = repeat(12, 12, () => ask(port, '/reports', { headers }));
  await until(() => broker.stats().inFlight === 12);
  const report = await lifecycle.shutdown({ reason: 'the example is over', timeout: '5s' });
  check(
    'long reports that were on their way',
    tally((await reports).map(({ status }) => status)),
    '200 × 12',
  );
  check('drained, forced, left', [report.drained, report.forced, report.tasksLeft], [true, 0, 0]);
  check(
    'hooks',
    report.hooks.map(({ name, ok }) => `${name} ${ok}`),
    'workers true',
  );
  check('threads that are up', workers.workers.length, 0);
  const refused = await order().catch((error) => error.code);
  check('a request now', refused, 'ECONNREFUSED');
  agent.destroy();
  await keyServer.close();
}

main();
