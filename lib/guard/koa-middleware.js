'use strict';

const { PROBLEM_MEDIA_TYPE } = require('../http/problem');
const { mixedCase } = require('./headers');
const { NodeHeaders } = require('./node-headers');
const { settled } = require('./user-function');

/**
 * A guard as middleware for Koa 2 and 3; `.guard` is the guard, `ctx.state.sluice` its decision. A request that passes the
 * same middleware again is not charged again. Another middleware decides for itself.
 */
function koaMiddleware(guard) {
  const kMet = Symbol('met');
  guard.continueLate();

  async function middleware(ctx, next) {
    const { req, res } = ctx;
    if (req[kMet]) return next();
    req[kMet] = true;
    const decision = await settled(() => guard.decide(ctx, req));
    const follows = ctx.state.sluice !== undefined;
    ctx.state.sluice = decision;
    const answered = res.headersSent;
    guard.watch(decision, req, res);
    if (!answered && decision.hasHeaders)
      guard.writeHeaders(decision, new NodeHeaders(res), mixedCase(follows));
    if (decision.allowed) return next();
    if (!answered) return refuse(decision, ctx, next);
    // Koa must not write behind the answer that was sent meanwhile.
    ctx.respond = false;
  }

  return Object.assign(middleware, { guard });
}

async function refuse({ handler, refusal }, ctx, next) {
  ctx.status = refusal.status;
  if (handler !== undefined) return handle(handler, ctx, next, refusal);
  ctx.set('Content-Type', PROBLEM_MEDIA_TYPE);
  // Bytes: to a string Koa would add a charset, which JSON does not have.
  ctx.body = Buffer.from(refusal.body);
}

async function handle(handler, ctx, next, refusal) {
  try {
    return await settled(() => handler(ctx, next, refusal));
  } catch (error) {
    ctx.status = 200;
    throw error;
  }
}

module.exports = { koaMiddleware };
