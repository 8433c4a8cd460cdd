// The servers measured: one route with a short answer, bare or behind a limiter that never refuses.
import { createRequire } from 'node:module';
import { DAY_MS, PLENTY } from '../plenty.mjs';

const require = createRequire(import.meta.url);

const ANSWER = { hello: 'world' };

export const LEASED = 'Fastify, sluice/fastify with Redis, leases';
export const BARE_BESIDE_REDIS = 'Fastify, 64 connections';
export const EXACT = 'Fastify, sluice/fastify with Redis, exact, 64 connections';
export const PEER_OVER_REDIS = 'Fastify, @fastify/rate-limit with Redis, 64 connections';

const WIDE = { rateLimit: { limit: PLENTY, window: DAY_MS } };

/** Enough to keep a server busy, without a queue that dominates its latency. The load never sleeps: see load.mjs. */
export const LOAD = { connections: 16, sleeps: false };

/**
 * Where each request waits for Redis, so few connections mostly wait; and a load that never sleeps takes one of two cores
 * from the three processes that work.
 */
export const LOAD_OVER_REDIS = { connections: 64, sleeps: true };

/**
 * `over`: the bare server that a row is divided by. `isFloor`: no limiter, but the minimum that any limiter costs.
 * `open` resolves with a listening `http.Server`. `load`: if not LOAD.
 */
export const SERVERS = {
  Express: { over: 'Express', open: () => expressServer() },
  'Express, a middleware that does nothing': {
    over: 'Express',
    isFloor: true,
    open: () => expressServer((_req, _res, next) => next()),
  },
  'Express, sluice/express': {
    over: 'Express',
    open: () => expressServer(require('../../lib/express.js')(WIDE)),
  },
  "Express, sluice/express, headers: 'refused'": {
    over: 'Express',
    open: () => expressServer(require('../../lib/express.js')({ ...WIDE, headers: 'refused' })),
  },
  'Express, express-rate-limit': { over: 'Express', open: expressRateLimit },
  Fastify: { over: 'Fastify', open: () => fastifyServer() },
  'Fastify, a hook that does nothing': { over: 'Fastify', isFloor: true, open: fastifyWithHook },
  'Fastify, two constant headers': { over: 'Fastify', isFloor: true, open: fastifyWithHeaders },
  'Fastify, sluice/fastify': {
    over: 'Fastify',
    open: () => fastifyServer(require('../../lib/fastify.js'), WIDE),
  },
  'Fastify, sluice/fastify, policy once a connection': {
    over: 'Fastify',
    open: () =>
      fastifyServer(require('../../lib/fastify.js'), { ...WIDE, policyHeader: 'once-per-connection' }),
  },
  "Fastify, sluice/fastify, headers: 'refused'": {
    over: 'Fastify',
    open: () => fastifyServer(require('../../lib/fastify.js'), { ...WIDE, headers: 'refused' }),
  },
  [LEASED]: { over: 'Fastify', needsRedis: true, open: (run) => fastifyOverFleet(run, 'lease') },
  'Fastify, @fastify/rate-limit in memory': {
    over: 'Fastify',
    open: () => fastifyServer(require('@fastify/rate-limit'), { max: PLENTY, timeWindow: DAY_MS }),
  },
  [BARE_BESIDE_REDIS]: { over: BARE_BESIDE_REDIS, load: LOAD_OVER_REDIS, open: () => fastifyServer() },
  [EXACT]: {
    over: BARE_BESIDE_REDIS,
    load: LOAD_OVER_REDIS,
    needsRedis: true,
    open: (run) => fastifyOverFleet(run, 'exact'),
  },
  [PEER_OVER_REDIS]: {
    over: BARE_BESIDE_REDIS,
    load: LOAD_OVER_REDIS,
    needsRedis: true,
    open: fastifyWithRedis,
  },
};

async function expressRateLimit() {
  const { rateLimit } = await import('express-rate-limit');
  const options = { limit: PLENTY, windowMs: DAY_MS, standardHeaders: 'draft-8', legacyHeaders: false };
  return expressServer(rateLimit(options));
}

/** What Fastify takes to ask any limiter. */
function fastifyWithHook() {
  return fastifyServer(hookPlugin((_request, _reply, next) => next()));
}

/** Writes as many headers as a limiter, and does nothing else. */
function fastifyWithHeaders() {
  const plugin = hookPlugin((_request, reply, next) => {
    reply.header('RateLimit-Policy', '"default";q=1000000000;w=86400');
    reply.header('RateLimit', '"default";r=999999999;t=1');
    next();
  });
  return fastifyServer(plugin);
}

function hookPlugin(hook) {
  return require('fastify-plugin')(async (app) => {
    app.addHook('onRequest', hook);
  });
}

function fastifyWithRedis({ redisPort }) {
  const { Redis } = require('ioredis');
  const redis = new Redis({ port: redisPort });
  return fastifyServer(require('@fastify/rate-limit'), { max: PLENTY, timeWindow: DAY_MS, redis });
}

function fastifyOverFleet({ redisPort }, mode) {
  const scope = { redis: `redis://127.0.0.1:${redisPort}`, mode };
  return fastifyServer(require('../../lib/fastify.js'), { ...WIDE, scope });
}

function expressServer(middleware) {
  const app = require('express')();
  if (middleware !== undefined) app.use(middleware);
  app.get('/', (_req, res) => res.json(ANSWER));
  return new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(server));
  });
}

async function fastifyServer(plugin, options) {
  const app = require('fastify')();
  if (plugin !== undefined) await app.register(plugin, options);
  app.get('/', async () => ANSWER);
  await app.listen({ port: 0, host: '127.0.0.1' });
  return app.server;
}
