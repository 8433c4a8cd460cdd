'use strict';

// One worker thread that serves pages and, at /metrics, the counts of all threads. Whichever thread Prometheus meets at the
// shared port, it gets the same.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const { Registry, Counter } = require('prom-client');
const { createGuard, listen } = require('sluice');
const { register } = require('sluice/prometheus');

const guard = createGuard('site', {
  rateLimit: { limit: 50, window: '1m', algorithm: 'fixed-window' },
  // Prometheus is no client.
  skip: (req) => req.url === '/metrics',
});

const registry = register(new Registry(), { histograms: true });
// A counter of prom-client is of its thread alone.
const served = new Counter({ name: 'served_total', help: 'Pages served.', registers: [registry] });

const protect = guard.http();
const server = http.createServer(
  protect(async (req, res) => {
    if (req.url === '/metrics') {
      return res.setHeader('Content-Type', registry.contentType).end(await registry.metrics());
    }
    served.inc();
    res.end('a page');
  }),
);

listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
