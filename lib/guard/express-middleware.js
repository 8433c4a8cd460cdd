'use strict';

const { PROBLEM_MEDIA_TYPE } = require('../problem');
const { settle } = require('./user-function');

/**
 * A guard as middleware for Express 4 and 5, reachable as `.guard`. A request that meets the same middleware
 * again (mounted twice, or handled anew under another URL) has been decided and charged, and goes on. Another
 * middleware decides by itself.
 */
function expressMiddleware(guard) {
  const kMet = Symbol('met');

  function middleware(req, res, next) {
    if (req[kMet]) return next();
    req[kMet] = true;
    settle(
      () => guard.decide(req),
      (decision) => conclude(guard, decision, { req, res, next }),
      next,
    );
  }

  return Object.assign(middleware, { guard });
}

/**
 * Whoever answered meanwhile has answered: then nothing is written, and a refused request just goes no
 * further.
 */
function conclude(guard, decision, { req, res, next }) {
  const follows = req.sluice !== undefined;
  req.sluice = decision;
  const answered = res.headersSent;
  if (!answered) guard.writeHeaders(decision, res, { follows });
  guard.watch(decision, req, res);
  if (decision.allowed) next();
  else if (!answered) refuse(decision, { req, res, next });
}

function refuse({ handler, refusal }, { req, res, next }) {
  res.statusCode = refusal.status;
  if (handler === undefined) return sendProblem(refusal, req, res);
  settle(
    () => handler(req, res, next, refusal),
    () => {},
    (error) => {
      res.statusCode = 200;
      next(error);
    },
  );
}

function sendProblem(refusal, req, res) {
  res.setHeader('Content-Type', PROBLEM_MEDIA_TYPE);
  res.setHeader('Content-Length', Buffer.byteLength(refusal.body));
  res.end(req.method === 'HEAD' ? undefined : refusal.body);
}

module.exports = { expressMiddleware };
