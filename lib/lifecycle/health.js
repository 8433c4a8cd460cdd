'use strict';

const { learnProbe } = require('../http/probe-paths');
const { invalidOption } = require('../runtime/errors');
const { checkOptions } = require('../runtime/schema');

const checkPath = (value, option) => {
  if (typeof value === 'string' && /^\/[^?#\s]*$/.test(value)) return value;
  throw invalidOption(option, value, 'a path that begins with "/"');
};
const SCHEMA = { livePath: checkPath, readyPath: checkPath };

/** Seconds until a probe may find another state. */
const RETRY_AFTER = 1;

function healthPaths(options = {}) {
  return { livePath: '/healthz', readyPath: '/readyz', ...checkOptions('health', options, SCHEMA) };
}

/** The answers to probes: alive until the lifecycle has stopped, ready while it is running. `stateOf()` returns the state. */
function probesOf({ livePath, readyPath }, stateOf) {
  return new Map([
    [livePath, () => answerOf(stateOf(), (state) => state !== 'stopped')],
    [readyPath, () => answerOf(stateOf(), (state) => state === 'running')],
  ]);
}

function answerOf(state, isFine) {
  const ok = isFine(state);
  const body = JSON.stringify({ state });
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  };
  if (!ok) headers['Retry-After'] = RETRY_AFTER;
  return { status: ok ? 200 : 503, headers, body };
}

/** Middleware for Express and for plain servers. Returns true when it has answered. */
function healthMiddleware(probes) {
  return function health(req, res, next) {
    const isRead = req.method === 'GET' || req.method === 'HEAD';
    const probe = isRead ? probes.get(req.url.split('?', 1)[0]) : undefined;
    if (probe === undefined) {
      next?.();
      return false;
    }
    learnProbe(req);
    const { status, headers, body } = probe();
    res.writeHead(status, headers);
    res.end(req.method === 'HEAD' ? undefined : body);
    return true;
  };
}

/** A plugin for Fastify 5: adds routes for the probes, exempt from rate limits and shedding, and attaches the server. */
function healthPlugin(install) {
  const fp = require('fastify-plugin');
  return fp(async (fastify, options) => addRoutes(fastify, install(fastify.server, options)), {
    name: 'sluice-lifecycle',
    fastify: '5.x',
  });
}

function addRoutes(fastify, probes) {
  for (const [url, probe] of probes) {
    const handler = async (_request, reply) => {
      const { status, headers, body } = probe();
      return reply.code(status).headers(headers).send(Buffer.from(body));
    };
    const config = { sluice: { rateLimit: false, priority: 'exempt' } };
    fastify.route({ method: 'GET', url, exposeHeadRoute: true, config, handler });
  }
}

module.exports = { healthMiddleware, healthPaths, healthPlugin, probesOf };
