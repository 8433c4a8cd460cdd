'use strict';

const { GuardDecision } = require('./guard-decision');
const { mixedCase } = require('./headers');
const { NodeHeaders } = require('./node-headers');
const { sendProblem } = require('./send-problem');
const { settle } = require('./user-function');

/**
 * A guard as middleware for Express 4 and 5, and for whatever calls `(req, res, next)` with the request and the response of
 * Node; `.guard` is the guard. A request that passes the same middleware again
 * (mounted twice, or rewritten to another URL) is not charged again. Another middleware decides for itself.
 *
 * Express sets the prototype of each request and response, after which V8 knows the shape of none: to read or to add a
 * property takes up to a microsecond. So both are touched as seldom as possible.
 */
function expressMiddleware(guard) {
  const decision = {
    run: (req) => guard.decide(req),
    done: (decided, req, res, next, before) => {
      decided.askedBy(middleware, before);
      req.sluice = decided;
      guard.watch(decided, req, res);
      conclude(guard, decided, { req, res, next, follows: before !== undefined });
    },
    fail: (error, _req, _res, next) => next(error),
  };

  function middleware(req, res, next) {
    const before = req.sluice;
    if (GuardDecision.wasAskedBy(middleware, before)) return next();
    settle(decision, req, res, next, before);
  }

  return Object.assign(middleware, { guard });
}

/** Where another answer was sent meanwhile, nothing is written, and a refused request is not passed on. */
function conclude(guard, decision, { req, res, next, follows }) {
  const isAnswered = (decision.hasHeaders || !decision.allowed) && res.headersSent;
  if (decision.hasHeaders && !isAnswered)
    guard.writeHeaders(decision, new NodeHeaders(res), mixedCase(follows));
  if (decision.allowed) next();
  else if (!isAnswered) refuse(decision, req, res, next);
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
