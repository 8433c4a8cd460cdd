'use strict';

// One worker thread: a gateway whose upstream may be down. All threads share one circuit for it.

const http = require('node:http');
const { parentPort, workerData } = require('node:worker_threads');
const { CircuitBreaker, listen } = require('sluice');

const UPSTREAM = 'orders';
const breaker = new CircuitBreaker('gateway', {
  window: { calls: 20 },
  minimumCalls: 10,
  openFor: '1s',
  halfOpenCalls: 2,
  timeout: '2s',
});

/** Calls the upstream; a status of 5xx is a failure. */
function askUpstream(signal) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: workerData.upstreamPort, agent: false, signal };
    const request = http.get(options, (response) => {
      response.resume();
      if (response.statusCode >= 500)
        reject(new Error(`the upstream answered with status ${response.statusCode}`));
      else resolve('the order\n');
    });
    request.once('error', reject);
  });
}

const server = http.createServer(async (_req, res) => {
  try {
    res.end(await breaker.fire(UPSTREAM, askUpstream));
  } catch (error) {
    const isRefused = error.code === 'ERR_SLUICE_BREAKER_OPEN';
    res.statusCode = isRefused ? 503 : 502;
    if (error.retryAfterMs) res.setHeader('Retry-After', Math.ceil(error.retryAfterMs / 1000));
    res.end();
  }
});

listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
