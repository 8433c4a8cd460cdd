'use strict';

const fp = require('fastify-plugin');
const { SluiceError, invalidOption } = require('../runtime/errors');
const { countUnmet } = require('./fastify-unmet');
const { LATER_HOOKS, decideIn, withHookHint } = require('./fastify-hooks');
const { conclude } = require('./fastify-answer');
const { RouteRules } = require('./route-rules');
const { settle } = require('./user-function');

/** What Fastify prints of a server without any. */
const NO_ROUTES = '(empty tree)';

/**
 * A guard as plugin for Fastify 5: `fastify.sluice` is the guard, `request.sluice` what it decided. It
 * decides in `onRequest`, before a body is read, and for requests without a route as well; the rate later where the option
 * `hook` says so. `guardFor` is given the plugin's options.
 *
 * async, though it awaits nothing: only a rejection fails `ready()`, what a plugin throws ends the process.
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
  fastify.addHook('onRequest', (request, reply, next) => {
    unmet.met(request.raw);
    settle(FIRST, { guard, rules, request, reply, next, isHeard: false });
  });
  decideIn(fastify, { guard, rules, hooks: sawAll ? [guard.rule.hook] : LATER_HOOKS });
}

/** Bans and connections are decided here; the rate too, unless the route has another hook for it. */
const FIRST = {
  ask: ({ guard, rules, request }) => {
    const rule = rules.of(request);
    return rule.hook === 'onRequest'
      ? guard.decide(request, request.raw, rule)
      : guard.admit(request.raw, rule);
  },
  done: (decision, context) => {
    if (decision !== null) return conclude(decision, context);
    context.guard.watchAnswer(context.request.raw, context.reply.raw);
    context.next();
  },
  fail: (error, { next }) => next(withHookHint(error, 'onRequest')),
};

/** Whether the hook for routes will have seen all there are. */
function hasNoRoutes(fastify) {
  return fastify.printRoutes() === NO_ROUTES;
}

/** An inner scope's requests meet the outer guard as well: one name twice would charge each of them twice. */
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
