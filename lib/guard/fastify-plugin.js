'use strict';

const fp = require('fastify-plugin');
const { SluiceError, invalidOption } = require('../runtime/errors');
const { countUnmet } = require('./fastify-unmet');
const { LATER_HOOKS, decideIn, decideLater, withHookHint } = require('./fastify-hooks');
const { concludeFor } = require('./fastify-answer');
const { RouteRules } = require('./route-rules');
const { settle } = require('./user-function');

/** What Fastify prints for a server without routes. */
const NO_ROUTES = '(empty tree)';

/**
 * A guard as plugin for Fastify 5: `fastify.sluice` is the guard, `request.sluice` its decision. It decides in `onRequest`,
 * before a body is read, also on requests without a route; on the rate in a later hook where the option `hook` names one.
 * `guardFor` is called with the plugin's options.
 *
 * async although it awaits nothing: a rejection fails `ready()`, but an exception of a plugin ends the process.
 */
function pluginOf(guardFor) {
  return fp(async (fastify, options) => install(fastify, guardFor(options)), {
    name: 'sluice',
    fastify: '5.x',
  });
}

function install(fastify, guard) {
  if (Object.hasOwn(fastify, 'sluice')) throw registeredTwice(fastify.sluice.name, guard.name);
  if (fastify.sluice?.name === guard.name) throw nameTaken(guard.name);
  const sawAll = hasNoRoutes(fastify);
  const rules = new RouteRules(guard, { sawAll });

  fastify.decorate('sluice', guard);
  if (!fastify.hasRequestDecorator('sluice')) fastify.decorateRequest('sluice', null);
  guard.attach(fastify.server);

  const unmet = countUnmet(fastify, guard);
  const first = firstSteps(guard, rules);
  fastify.addHook('onRequest', (request, reply, next) => {
    unmet.met(request.raw);
    settle(first, request, reply, next);
  });
  decideIn(fastify, { guard, rules, hooks: sawAll ? [guard.rule.hook] : LATER_HOOKS });
}

/** Decides on bans and connections, and on the rate unless the route names a later hook for it. */
function firstSteps(guard, rules) {
  const conclude = concludeFor(guard, { isWatched: false });
  return {
    run: (request) => {
      const rule = rules.of(request);
      if (rule.hook === 'onRequest') return guard.decide(request, request.raw, rule);
      decideLater(request);
      return guard.admitRequest(request, request.raw, rule);
    },
    done: (decision, request, reply, next) => {
      if (decision !== null) return conclude(decision, request, reply, next);
      guard.watchAnswer(request.raw, reply.raw);
      next();
    },
    fail: (error, _request, _reply, next) => next(withHookHint(error, 'onRequest')),
  };
}

/** Whether `onRoute` hooks added now see every route. */
function hasNoRoutes(fastify) {
  return fastify.printRoutes() === NO_ROUTES;
}

/** Requests of an inner scope pass the outer guard as well: the same name would charge each of them twice. */
function nameTaken(name) {
  return invalidOption('sluice/fastify name', name, 'a name that no guard of this scope has');
}

function registeredTwice(first, second) {
  return new SluiceError(
    'INVALID_OPTION',
    `sluice/fastify is registered twice in one scope, with the name "${first}" and then "${second}"; accepted: one ` +
      'registration a scope. Give a route a limit of its own by its config.sluice, or register the second guard with ' +
      'another name in a scope within: fastify.register(async (scope) => { scope.register(sluice, options) })',
  );
}

module.exports = { pluginOf };
