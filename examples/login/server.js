'use strict';

// One worker thread: Express, with a limit on wrong passwords. Nothing in here knows of the other threads.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const express = require('express');
const { listen } = require('sluice');
const sluice = require('sluice/express');

const app = express();

const onlyFewFailures = sluice({
  // The name is what the threads have in common: they all count in the limiter 'login'.
  name: 'login',
  // Five, and then none until fifteen minutes after the first.
  rateLimit: { limit: 5, window: '15m', algorithm: 'fixed-window' },
  // An answer below 400 was no failure: its charge is taken back.
  countOnly: 'failures',
  // Behind a proxy, the client is who the proxy says it is.
  trustedProxies: ['127.0.0.1'],
});

app.post('/login', onlyFewFailures, express.json(), (req, res) => {
  const isRight = req.body.password === 'correct horse battery staple';
  res.status(isRight ? 200 : 401).json({ welcome: isRight });
});

// Port 0 lets the system choose. All threads get the same port, and take turns in accepting.
listen(http.createServer(app), { port: 0, host: '127.0.0.1' }).then((address) =>
  parentPort.postMessage(address),
);
