'use strict';

// One worker thread: tRPC on node:http. Each procedure says in its `meta` what it costs, and a batch is charged procedure by
// procedure.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const { initTRPC, TRPCError } = require('@trpc/server');
const { nodeHTTPRequestHandler } = require('@trpc/server/adapters/node-http');
const { RateLimiter, createGuard, listen } = require('sluice');

// Bans, connections and the client behind a proxy; each procedure is charged below.
const guard = createGuard('api', { rateLimit: false, connections: { maxPerClient: 50 } });
const units = new RateLimiter('api-units', { limit: 100, window: '1m', algorithm: 'fixed-window' });

const t = initTRPC.meta().context().create();

const charged = t.procedure.use(({ ctx, meta, next }) => {
  const decision = units.consume(guard.clientOf(ctx.req).key, meta?.cost ?? 1);
  ctx.res.setHeader('X-Units-Left', decision.remaining);
  if (decision.allowed) return next();
  if (Number.isFinite(decision.retryAfterMs)) {
    ctx.res.setHeader('Retry-After', Math.ceil(decision.retryAfterMs / 1000));
  }
  throw new TRPCError({ code: 'TOO_MANY_REQUESTS', message: `quota exceeded: ${decision.policy}` });
});

const router = t.router({
  health: t.procedure.query(() => 'ok'),
  post: charged.query(() => 'a post'),
  search: charged.meta({ cost: 10 }).query(() => 'what was found'),
});

const server = http.createServer(async (req, res) => {
  const decision = await guard.check(req, res);
  if (!decision.allowed) return res.writeHead(decision.status, decision.headers).end(decision.body);
  const path = req.url.slice(1).split('?')[0];
  nodeHTTPRequestHandler({ router, req, res, path, createContext: () => ({ req, res }) });
});
guard.attach(server);

listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
