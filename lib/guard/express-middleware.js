'use strict';

const { mixedCase } = require('./headers');
const { NodeHeaders } = require('./node-headers');
const { sendProblem } = require('./send-problem');
const { settle } = require('./user-function');

/**
 * A guard as middleware for Express 4 and 5, and for whatever calls `(req, res, next)` with the request and the response of
 * Node; `.guard` is the guard. A request that passes the same middleware again
 * (mounted twice, or rewritten to another URL) is not charged again. Another middleware decides for itself.
 *
 * Express sets the prototype of each request and response, so that no two have a hidden class in common: V8 looks up anew
 * each property that is read or added, and takes longest to find that there is none. So both are touched as seldom as
 * possible. `Object.hasOwn` needs no hidden class.
 */
function expressMiddleware(guard) {
  const met = new WeakSet();
  const decision = {
    run: (req) => guard.decide(req),
    done: (decided, req, res, next) => conclude(guard, decided, { req, res, next }),
    fail: (error, _req, _res, next) => next(error),
  };
  guard.continueLate();

  function middleware(req, res, next) {
    if (met.has(req)) return next();
    met.add(req);
    settle(decision, req, res, next);
  }

  return Object.assign(middleware, { guard });
}

/** Where another answer was sent meanwhile, nothing is written, and a refused request is not passed on. */
function conclude(guard, decision, { req, res, next }) {
  const follows = Object.hasOwn(req, 'sluice');
  req.sluice = decision;
  guard.watch(decision, req, res);
  const isAnswered = (decision.hasHeaders || !decision.allowed) && res.headersSent;
  if (decision.hasHeaders && !isAnswered) {
    guard.writeHeaders(decision, new NodeHeaders(res), mixedCase(follows));
  }
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
