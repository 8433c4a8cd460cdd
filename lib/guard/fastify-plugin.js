'use strict';

const fp = require('fastify-plugin');
const { invalidOption } = require('../errors');
const { PROBLEM_MEDIA_TYPE } = require('../problem');
const { LOWER_CASE } = require('./headers');
const { RouteRules } = require('./route-rules');
const { settle } = require('./user-function');

/** What Fastify prints of a server without any. */
const NO_ROUTES = '(empty tree)';

/**
 * A guard as plugin for Fastify 5: `fastify.sluice` is the guard, `request.sluice` what it decided. It
 * decides in `onRequest`, before a body is read, and for requests without a route as well. `guardFor` is
 * given the plugin's options.
 *
 * async, though it awaits nothing: only a rejection fails `ready()`, what a plugin throws ends the process.
 */
function pluginOf(guardFor) {
  return fp(async (fastify, options) => install(fastify, guardFor(options)), {
    name: 'sluice',
    fastify: '5.x',
  });
}

function install(fastify, guard) {
  if (fastify.sluice?.name === guard.name) throw nameTaken(guard.name);
  const rules = new RouteRules(guard, { sawAll: hasNoRoutes(fastify) });

  fastify.decorate('sluice', guard);
  if (!fastify.hasRequestDecorator('sluice')) fastify.decorateRequest('sluice', null);
  guard.attach(fastify.server);

  fastify.addHook('onRoute', (route) => rules.declare(route));
  fastify.addHook('onRequest', (request, reply, next) => {
    settle(DECISION, { guard, rules, request, reply, next });
  });
}

const DECISION = {
  ask: ({ guard, rules, request }) => guard.decide(request, request.raw, rules.of(request)),
  done: conclude,
  fail: (error, { next }) => next(error),
};

/** Whether the hook for routes will have seen all there are. */
function hasNoRoutes(fastify) {
  return fastify.printRoutes() === NO_ROUTES;
}

/** An inner scope's requests meet the outer guard as well: one name twice would charge each of them twice. */
function nameTaken(name) {
  return invalidOption('sluice/fastify name', name, 'a name that no guard of this scope has');
}

/** Whoever answered meanwhile has answered: Fastify goes no further by itself then. */
function conclude(decision, { guard, request, reply, next }) {
  const follows = request.sluice !== null;
  request.sluice = decision;
  guard.watch(decision, request.raw, reply.raw);
  if (reply.sent) return next();
  guard.writeHeaders(decision, reply, { follows, names: LOWER_CASE });
  if (decision.allowed) next();
  else refuse(decision, { request, reply, next });
}

/** Like a route's handler, a custom one sends by itself or returns what to send. */
function refuse({ handler, refusal }, { request, reply, next }) {
  reply.code(refusal.status);
  if (handler === undefined) return sendProblem(refusal, request, reply);
  settle(HANDLING, { handler, refusal, request, reply, next });
}

const HANDLING = {
  ask: ({ handler, request, reply, refusal }) => handler(request, reply, refusal),
  done: (payload, { reply }) => {
    if (payload !== undefined && payload !== reply && !reply.sent) reply.send(payload);
  },
  fail: (error, { reply, next }) => {
    reply.code(200);
    next(error);
  },
};

/** As bytes: to a string Fastify would add a charset, which JSON has not. */
function sendProblem(refusal, request, reply) {
  reply.header('Content-Type', PROBLEM_MEDIA_TYPE);
  reply.send(request.method === 'HEAD' ? undefined : Buffer.from(refusal.body));
}

module.exports = { pluginOf };
