'use strict';

// One worker thread: node:http without a framework, behind a limit and a cap on connections. The code does not depend on the
// other threads.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const { listen } = require('sluice');
const sluice = require('sluice/http');

const protect = sluice({
  // All threads share the guard of this name.
  name: 'site',
  rateLimit: { limit: 50, window: '1m', algorithm: 'fixed-window' },
  connections: { maxPerClient: 10 },
  // A large answer costs more.
  cost: (req) => (req.url === '/export' ? 10 : 1),
});

const server = http.createServer(
  protect((req, res) => res.end(JSON.stringify({ left: req.sluice.decision.remaining }))),
);
// Connections are counted from here on, and refused before a request is read.
protect.guard.attach(server);

listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
