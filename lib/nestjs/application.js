'use strict';

const { Reflector } = require('@nestjs/core');
const { Guard } = require('../guard/guard');
const { lowerCase, mixedCase } = require('../guard/headers');
const { headersOf } = require('../guard/node-headers');
const { settled } = require('../guard/user-function');
const { exchangeOf, byContext } = require('./context');
const { OWNER, SKIPPED, kRoute } = require('./decorators');
const { SluiceException } = require('./exception');
const { RouteRules } = require('./route-rules');

const reflector = new Reflector();

/** The guard of a Nest application. Each `SluiceGuard` asks it. */
class SluiceApplication {
  #rules;
  #kMet = Symbol('met');
  /** Whether answers to all requests are watched, also to those that no route serves. */
  #watchesServer = false;

  constructor(options) {
    this.guard = new Guard(OWNER, isObject(options) ? byContext(options) : options);
    this.#rules = new RouteRules(this.guard);
  }

  declare(Class, methodNames) {
    this.#rules.declare(Class, methodNames);
  }

  /** Decides on the connections of the server at accept, and sees what is answered where no guard of Nest runs. */
  attach(server) {
    const { guard } = this;
    guard.attach(server);
    if (guard.reputation === null && guard.monitor === null) return;
    this.#watchesServer = true;
    server.prependListener('request', (req, res) => {
      const judged = guard.judgedOf(req);
      // Refusals for a ban are not recorded.
      if (judged === undefined || !this.#isBanned(judged)) guard.watchAnswer(req, res);
    });
  }

  /** Resolves with true for an admitted request, and throws a `SluiceException` for a refused one. */
  async admits(context) {
    const { guard } = this;
    if (context.getType() !== 'http' && isSkipped(context)) return true;
    const { request, response } = exchangeOf(context);
    if (context.getType() === 'http' && this.#wasMet(request)) return true;
    const rule = this.#rules.of(context.getClass(), context.getHandler());
    const incoming = request.raw ?? request;
    const decision = await settled(() => guard.decide(context, incoming, rule));
    this.#write(decision, incoming, request, response);
    if (!decision.allowed) throw new SluiceException(decision.refusal);
    return true;
  }

  /** A request that several guards of Nest stand before is charged once; of GraphQL each resolver is. */
  #wasMet(request) {
    const wasMet = request[this.#kMet] === true;
    request[this.#kMet] = true;
    return wasMet;
  }

  #write(decision, incoming, request, response) {
    const follows = request.sluice !== undefined && request.sluice !== null;
    request.sluice = decision;
    if (response === undefined) {
      // Nothing would tell the end of the answer.
      decision.releasePlaces();
      return;
    }
    const raw = response.raw ?? response;
    this.guard.watch(decision, incoming, raw, { isWatched: this.#watchesServer });
    if (raw.headersSent || !decision.hasHeaders) return;
    if (raw === response) this.guard.writeHeaders(decision, headersOf(response), mixedCase(follows));
    else this.guard.writeHeaders(decision, response, lowerCase(follows));
  }

  #isBanned(address) {
    return this.guard.attempt(() => this.guard.reputation?.isBanned(address)) === true;
  }
}

function isSkipped(context) {
  return reflector.getAllAndOverride(kRoute, [context.getHandler(), context.getClass()]) === SKIPPED;
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

module.exports = { SluiceApplication };
