'use strict';

// One worker thread: Hono behind @hono/node-server, with a limit for the application and a stricter one for a route. The
// code does not depend on the other threads.

const { parentPort } = require('node:worker_threads');
const { createAdaptorServer } = require('@hono/node-server');
const { Hono } = require('hono');
const { listen } = require('sluice');
const sluice = require('sluice/hono');

const app = new Hono();
app.use(sluice({ name: 'site', rateLimit: { limit: 50, window: '1m', algorithm: 'fixed-window' } }));
app.get('/', (c) => c.json({ left: c.get('sluice').decision.remaining }));
app.post(
  '/login',
  // Five failures, then none until a minute after the first; an answer below 400 is refunded.
  sluice({
    name: 'login',
    rateLimit: { limit: 5, window: '1m', algorithm: 'fixed-window' },
    countOnly: 'failures',
  }),
  async (c) => {
    const { password } = await c.req.json();
    return password === 'correct horse battery staple' ? c.json({ welcome: true }) : c.json({}, 401);
  },
);

listen(createAdaptorServer(app), { port: 0, host: '127.0.0.1' }).then((address) =>
  parentPort.postMessage(address),
);
