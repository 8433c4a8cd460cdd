'use strict';

// The gateway: one HTTP server in front of four threads. It verifies the token of a request, calls a thread through the
// broker, and answers with the result.

const http = require('node:http');
const path = require('node:path');
const { Broker, Lifecycle, listen } = require('sluice');
const { verifierOf } = require('./key-set');

const STATUS = {
  ERR_SLUICE_NO_ENDPOINT: 404,
  ERR_SLUICE_PEER_GONE: 502,
  ERR_SLUICE_BACKPRESSURE: 503,
  ERR_SLUICE_TIMEOUT: 504,
};

/** Listens on a free port. Accepts tokens signed by the keys at `keySetUrl`. */
async function startGateway(keySetUrl) {
  const lifecycle = new Lifecycle('gateway');
  const broker = new Broker('gateway', { id: 'gateway' });
  const workers = await broker.spawn(path.join(__dirname, 'worker.js'), {
    count: 4,
    workerData: { keySetUrl },
  });
  const verifier = verifierOf(keySetUrl);
  const probes = lifecycle.health();

  const server = http.createServer(async (req, res) => {
    if (probes(req, res)) return;
    const user = (await verifier.get()).verify(req.headers.authorization);
    if (user === undefined) return answer(res, 401, { error: 'a signed token is needed' });
    try {
      const [, endpoint, item] = req.url.split('/');
      const request = { user, item, token: req.headers.authorization };
      answer(res, 200, await broker.call(endpoint, request, { timeout: '20s' }));
    } catch (error) {
      answer(res, STATUS[error.code] ?? 500, { error: error.message });
    }
  });

  lifecycle.attach(server);
  // The threads are closed once the last request is answered.
  lifecycle.onShutdown(() => broker.close(), { name: 'workers', when: 'drained' });
  const { port } = await listen(server, { port: 0, host: '127.0.0.1' });
  lifecycle.ready();
  return { port, workers, lifecycle, broker };
}

function answer(res, status, body) {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

module.exports = { startGateway };
