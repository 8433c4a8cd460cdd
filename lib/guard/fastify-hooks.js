'use strict';

const { PREFIX } = require('../runtime/errors');
const { concludeFor } = require('./fastify-answer');
const { HOOKS } = require('./guard-options');
const { settle } = require('./user-function');

/** The hooks after `onRequest`, in which the rate may be decided instead. */
const LATER_HOOKS = HOOKS.slice(1);

/** Set on a request whose rate is decided in a later hook. Reading the rule again costs more. */
const kDecidedLater = Symbol('sluice.decidedLater');

/** Node's message when a property is read of `undefined` or `null`. */
const READS_NOTHING = /^Cannot (?:read propert|destructure property).* of .*(?:undefined|null)/;

/**
 * Decides rates in the later hooks. Each declared route gets the hook that its rule names: a route's own hooks run after
 * those of its scope, so what a `preHandler` sets is there in whatever order plugins were registered. `hooks` are added to
 * the scope, for requests without a route and for routes that were declared before.
 */
function decideIn(fastify, { guard, rules, hooks }) {
  const kDeclared = Symbol('sluice.declared');
  const ofRoute = Object.fromEntries(
    LATER_HOOKS.map((hook) => [hook, hookFunction(hook, { guard, rules, passes: () => false })]),
  );
  fastify.addHook('onRoute', (route) => {
    const hook = rules.declare(route);
    if (hook === 'onRequest') return;
    route.config = { ...route.config, [kDeclared]: true };
    const before = [route[hook] ?? []].flat();
    if (!before.includes(ofRoute[hook])) route[hook] = [...before, ofRoute[hook]];
  });
  const isDeclared = ({ routeOptions }) => routeOptions.config?.[kDeclared] === true;
  for (const hook of hooks) {
    if (hook !== 'onRequest') fastify.addHook(hook, hookFunction(hook, { guard, rules, passes: isDeclared }));
  }
}

/** Decides on requests whose rule names `hook`, except those that `passes` leaves to another hook. */
function hookFunction(hook, { guard, rules, passes }) {
  const later = laterSteps(hook, { guard, rules });
  // Requests that reply.callNotFound() passes on have the guard's rule from then on.
  const ofGuard = guard.rule.hook === hook;
  const decide = (request, reply, next) => {
    if ((!ofGuard && request[kDecidedLater] === undefined) || passes(request)) return next();
    settle(later, request, reply, next);
  };
  return hook === 'preParsing' ? (request, reply, _payload, next) => decide(request, reply, next) : decide;
}

function laterSteps(hook, { guard, rules }) {
  const conclude = concludeFor(guard, { isWatched: true });
  return {
    run: (request) => {
      const rule = rules.of(request);
      return rule.hook === hook ? guard.decideRate(request, request.raw, rule) : null;
    },
    done: (decision, request, reply, next) =>
      decision === null ? next() : conclude(decision, request, reply, next),
    fail: (error, _request, _reply, next) => next(withHookHint(error, hook)),
  };
}

/** Leaves the rate of a request to a later hook. */
function decideLater(request) {
  request[kDecidedLater] = true;
}

/**
 * Adds to an error about something missing which hook has it: a `key` that reads the body fails in `onRequest`. Other
 * errors stay as they are.
 */
function withHookHint(error, hook) {
  const isMissing =
    error?.code === `${PREFIX}INVALID_KEY` ||
    (error instanceof TypeError && READS_NOTHING.test(error.message));
  if (!isMissing || hook === 'preHandler') return error;
  const hint =
    `${error.message}. sluice asked in the hook "${hook}": request.body is there from "preValidation" on, what a ` +
    'preHandler sets in "preHandler". The option hook says where sluice asks';
  try {
    error.message = hint;
  } catch {
    // A frozen error keeps its message.
  }
  return error;
}

module.exports = { LATER_HOOKS, decideIn, decideLater, withHookHint };
