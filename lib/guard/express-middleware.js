'use strict';

const { continueLate } = require('../http/late-continue');
const { mixedCase } = require('./headers');
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
  const decision = {
    run: (req) => guard.decide(req),
    done: (decided, req, res, next) => conclude(guard, decided, { req, res, next }),
    fail: (error, _req, _res, next) => next(error),
  };
  let latestServer;

  function middleware(req, res, next) {
    if (req[kMet]) return next();
    req[kMet] = true;
    const server = req.socket?.server;
    if (server !== latestServer && server) {
      latestServer = server;
      continueLate(server);
    }
    settle(decision, req, res, next);
  }

  return Object.assign(middleware, { guard });
}

/** Where another answer was sent meanwhile, nothing is written, and a refused request is not passed on. */
function conclude(guard, decision, { req, res, next }) {
  const follows = req.sluice !== undefined;
  req.sluice = decision;
  const answered = res.headersSent;
  guard.watch(decision, req, res);
  if (!answered && decision.hasHeaders) guard.writeHeaders(decision, headersOf(res), mixedCase(follows));
  if (decision.allowed) next();
  else if (!answered) refuse(decision, req, res, next);
}

function refuse({ handler, refusal }, req, res, next) {
  res.statusCode = refusal.status;
  if (handler === undefined) return sendProblem(refusal.body, req, res);
  const handling = {
    run: () => handler(req, res, next, refusal),
    done: () => {},
    fail: (error) => {
      res.statusCode = 200;
      next(error);
    },
  };
  settle(handling);
}

module.exports = { expressMiddleware };
