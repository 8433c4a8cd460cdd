'use strict';

// One worker thread: Express behind a guard, and a socket by which `npx sluice` sees the process.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const express = require('express');
const { createGuard, inspect, listen } = require('sluice');

const guard = createGuard('shop', {
  rateLimit: { limit: 20, window: '1h' },
  reputation: { maxFailures: 100, findTime: '10m', banTime: '10m', maxBanTime: '1d' },
});

async function start() {
  const app = express();
  app.use(guard.express());
  app.get('/', (_req, res) => res.send('welcome'));
  const inspection = inspect({ actions: true, title: 'shop' });
  await inspection.ready();
  parentPort.postMessage(await listen(http.createServer(app), { port: 0, host: '127.0.0.1' }));
}

start();
