'use strict';

// One worker thread: Koa, with a limit for the whole application and a stricter one for a route. The code does not depend
// on the other threads.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const Koa = require('koa');
const { listen } = require('sluice');
const sluice = require('sluice/koa');

const limitSearch = sluice({
  // All threads share the limiter of this name.
  name: 'search',
  rateLimit: { limit: 5, window: '1m', algorithm: 'fixed-window' },
  // Each account has its own quota, whatever its address.
  key: (ctx) => ctx.get('x-account'),
});

const app = new Koa();
app.use(sluice({ name: 'site', rateLimit: { limit: 50, window: '1m', algorithm: 'fixed-window' } }));
app.use((ctx, next) => (ctx.path === '/search' ? limitSearch(ctx, next) : next()));
app.use((ctx) => {
  ctx.body = { left: ctx.state.sluice.decision.remaining };
});

listen(http.createServer(app.callback()), { port: 0, host: '127.0.0.1' }).then((address) =>
  parentPort.postMessage(address),
);
