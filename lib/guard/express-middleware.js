'use strict';

const { continueLate } = require('../http/late-continue');
const { MIXED_CASE } = require('./headers');
const { headersOf } = require('./node-headers');
const { sendProblem } = require('./send-problem');
const { settle } = require('./user-function');

/**
 * A guard as middleware for Express 4 and 5, and for whatever calls `(req, res, next)` with the request and the response of
 * Node; `.guard` is the guard. A request that passes the same middleware again
 * (mounted twice, or rewritten to another URL) is not charged again. Another middleware decides for itself.
 */
function expressMiddleware(guard) {
  const kMet = Symbol('met');
  let latestServer;

  function middleware(req, res, next) {
    if (req[kMet]) return next();
    req[kMet] = true;
    const server = req.socket?.server;
    if (server !== latestServer && server) {
      latestServer = server;
      continueLate(server);
    }
    settle(DECISION, { guard, req, res, next });
  }

  return Object.assign(middleware, { guard });
}

const DECISION = {
  run: ({ guard, req }) => guard.decide(req),
  done: conclude,
  fail: (error, { next }) => next(error),
};

/** Where another answer was sent meanwhile, nothing is written, and a refused request is not passed on. */
function conclude(decision, { guard, req, res, next }) {
  const follows = req.sluice !== undefined;
  req.sluice = decision;
  const answered = res.headersSent;
  guard.watch(decision, req, res);
  if (!answered) guard.writeHeaders(decision, headersOf(res), { follows, names: MIXED_CASE });
  if (decision.allowed) next();
  else if (!answered) refuse(decision, { req, res, next });
}

function refuse({ handler, refusal }, { req, res, next }) {
  res.statusCode = refusal.status;
  if (handler === undefined) return sendProblem(refusal.body, req, res);
  settle(HANDLING, { handler, refusal, req, res, next });
}

const HANDLING = {
  run: ({ handler, req, res, next, refusal }) => handler(req, res, next, refusal),
  done: () => {},
  fail: (error, { res, next }) => {
    res.statusCode = 200;
    next(error);
  },
};

module.exports = { expressMiddleware };
