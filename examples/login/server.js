'use strict';

// One worker thread: Express, with a limit on wrong passwords. The code does not depend on the other threads.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const express = require('express');
const { listen } = require('sluice');
const sluice = require('sluice/express');

const app = express();

const onlyFewFailures = sluice({
  // All threads share the limiter of this name.
  name: 'login',
  // Five failures, then none until fifteen minutes after the first.
  rateLimit: { limit: 5, window: '15m', algorithm: 'fixed-window' },
  // An answer with a status below 400 is refunded.
  countOnly: 'failures',
  // Requests of this proxy are counted for the client that it names in X-Forwarded-For.
  trustedProxies: ['127.0.0.1'],
});

app.post('/login', onlyFewFailures, express.json(), (req, res) => {
  const isRight = req.body.password === 'correct horse battery staple';
  res.status(isRight ? 200 : 401).json({ welcome: isRight });
});

// Port 0 lets the system choose. All threads get the same port and share its connections.
listen(http.createServer(app), { port: 0, host: '127.0.0.1' }).then((address) =>
  parentPort.postMessage(address),
);
