'use strict';

// One worker thread: a login behind a guard that bans. The code does not depend on the other threads.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const express = require('express');
const { createGuard, listen } = require('sluice');

const guard = createGuard('login', {
  // Off, as a limit would refuse some guesses with 429 before the bans that this example shows.
  rateLimit: false,
  reputation: {
    // The fifth wrong password in ten minutes bans, for a minute at first and twice as long each time.
    maxFailures: 5,
    findTime: '10m',
    banTime: '1m',
    maxBanTime: '1h',
  },
  // Every request is a login, so a 401 is a failed login. With other routes, set this on the login route only.
  login: true,
  record: { 401: 'wrong-password', 403: false, 404: false },
});

const app = express();
app.use(guard.express());
app.post('/login', express.json(), (req, res) => {
  const isRight = req.body.password === 'correct horse battery staple';
  res.status(isRight ? 200 : 401).json({ welcome: isRight });
});

/** A server of this thread. Connections of banned clients are refused at accept, before a byte is read. */
function serve() {
  const server = http.createServer(app);
  guard.attach(server);
  return server;
}

async function start() {
  // One port for all threads, and one for this thread alone, so that the example can call each of them.
  const { port } = await listen(serve(), { port: 0, host: '127.0.0.1' });
  const own = serve().listen(0, '127.0.0.1', () => parentPort.postMessage({ port, own: own.address().port }));
}

start();
