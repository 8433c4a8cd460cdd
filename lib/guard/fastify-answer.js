'use strict';

const { PROBLEM_MEDIA_TYPE } = require('../http/problem');
const { lowerCase } = require('./headers');
const { settle } = require('./user-function');

/** Concludes a decision in a hook of Fastify: `conclude(decision, request, reply, next)`. See `Guard.watch`. */
function concludeFor(guard, watched) {
  return (decision, request, reply, next) => {
    const follows = request.sluice !== null;
    request.sluice = decision;
    guard.watch(decision, request.raw, reply.raw, watched);
    // Where another answer was sent meanwhile, Fastify stops by itself.
    if (reply.sent) return next();
    if (decision.hasHeaders) guard.writeHeaders(decision, reply, lowerCase(follows));
    if (decision.allowed) next();
    else refuse(decision, request, reply, next);
  };
}

/** Like a route's handler, a custom handler sends the answer itself or returns it. */
function refuse({ handler, refusal }, request, reply, next) {
  reply.code(refusal.status);
  if (handler === undefined) return sendProblem(refusal, request, reply);
  const handling = {
    run: () => handler(request, reply, refusal),
    done: (payload) => {
      if (payload !== undefined && payload !== reply && !reply.sent) reply.send(payload);
    },
    fail: (error) => {
      reply.code(200);
      next(error);
    },
  };
  settle(handling);
}

/** Sends bytes: to a string Fastify would add a charset, which JSON does not have. */
function sendProblem(refusal, request, reply) {
  reply.header('Content-Type', PROBLEM_MEDIA_TYPE);
  reply.send(request.method === 'HEAD' ? undefined : Buffer.from(refusal.body));
}

module.exports = { concludeFor };
