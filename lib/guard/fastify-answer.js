'use strict';

const { PROBLEM_MEDIA_TYPE } = require('../http/problem');
const { LOWER_CASE } = require('./headers');
const { settle } = require('./user-function');

/** Where another answer was sent meanwhile, Fastify stops by itself. */
function conclude(decision, { guard, request, reply, next, isWatched }) {
  const follows = request.sluice !== null;
  request.sluice = decision;
  guard.watch(decision, request.raw, reply.raw, { isWatched });
  if (reply.sent) return next();
  guard.writeHeaders(decision, reply, { follows, names: LOWER_CASE });
  if (decision.allowed) next();
  else refuse(decision, { request, reply, next });
}

/** Like a route's handler, a custom handler sends the answer itself or returns it. */
function refuse({ handler, refusal }, { request, reply, next }) {
  reply.code(refusal.status);
  if (handler === undefined) return sendProblem(refusal, request, reply);
  settle(HANDLING, { handler, refusal, request, reply, next });
}

const HANDLING = {
  run: ({ handler, request, reply, refusal }) => handler(request, reply, refusal),
  done: (payload, { reply }) => {
    if (payload !== undefined && payload !== reply && !reply.sent) reply.send(payload);
  },
  fail: (error, { reply, next }) => {
    reply.code(200);
    next(error);
  },
};

/** Sends bytes: to a string Fastify would add a charset, which JSON does not have. */
function sendProblem(refusal, request, reply) {
  reply.header('Content-Type', PROBLEM_MEDIA_TYPE);
  reply.send(request.method === 'HEAD' ? undefined : Buffer.from(refusal.body));
}

module.exports = { conclude };
