'use strict';

const { PROBLEM_MEDIA_TYPE } = require('../http/problem');
const { SluiceError } = require('../runtime/errors');
const { mixedCase } = require('./headers');
const { NodeHeaders } = require('./node-headers');
const { settled } = require('./user-function');

/**
 * A guard as middleware for Hono 4 behind `@hono/node-server`; `.guard` is the guard, `c.get('sluice')` its decision. A
 * request that passes the same middleware again is not charged again. Another middleware decides for itself.
 */
function honoMiddleware(guard) {
  const kMet = Symbol('met');
  guard.continueLate();

  async function middleware(c, next) {
    const { incoming, outgoing } = c.env ?? {};
    if (incoming === undefined || outgoing === undefined) throw withoutNode();
    if (incoming[kMet]) return next();
    incoming[kMet] = true;
    const decision = await settled(() => guard.decide(c, incoming));
    const follows = c.get('sluice') !== undefined;
    c.set('sluice', decision);
    const answered = outgoing.headersSent;
    guard.watch(decision, incoming, outgoing);
    if (!decision.allowed) return answered ? alreadySent() : refuse(decision, { guard, c, next, follows });
    // Onto Node's response: they are sent with whatever Response the application returns.
    if (!answered && decision.hasHeaders)
      guard.writeHeaders(decision, new NodeHeaders(outgoing), mixedCase(follows));
    return next();
  }

  return Object.assign(middleware, { guard });
}

/** The headers of a refusal go onto Hono's response, from which those of the page are removed. */
async function refuse(decision, { guard, c, next, follows }) {
  const { handler, refusal } = decision;
  guard.writeHeaders(decision, new HonoHeaders(c), mixedCase(follows));
  c.status(refusal.status);
  if (handler !== undefined) return handle(handler, c, next, refusal);
  return c.body(refusal.body, { headers: { 'Content-Type': PROBLEM_MEDIA_TYPE } });
}

async function handle(handler, c, next, refusal) {
  try {
    return await settled(() => handler(c, next, refusal));
  } catch (error) {
    c.status(200);
    throw error;
  }
}

/** Tells @hono/node-server that Node's response was used. */
function alreadySent() {
  return new Response(null, { headers: { 'x-hono-already-sent': 'true' } });
}

/** The headers of Hono's response, over those that another guard has written onto Node's. */
class HonoHeaders {
  #c;

  constructor(c) {
    this.#c = c;
  }

  header(name, value) {
    this.#c.header(name, value);
  }

  getHeader(name) {
    return this.#c.res.headers.get(name) ?? this.#c.env.outgoing.getHeader(name);
  }

  getHeaders() {
    return Object.fromEntries(this.#c.res.headers);
  }

  removeHeader(name) {
    this.#c.header(name, undefined);
  }
}

function withoutNode() {
  return new SluiceError(
    'UNSUPPORTED',
    'sluice/hono is given no request of Node.js (c.env.incoming); accepted: an application that ' +
      '@hono/node-server serves, or app.request(path, init, { incoming, outgoing }) in a test',
  );
}

module.exports = { honoMiddleware };
