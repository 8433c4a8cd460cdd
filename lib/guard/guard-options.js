'use strict';

const { invalidOption, SluiceError } = require('../runtime/errors');
const { OPTIONS } = require('../runtime/layouts');
const { onMismatch } = require('../runtime/on-mismatch');
const {
  boolean,
  checkName,
  checkOptions,
  func,
  integer,
  oneOf,
  owned,
  parseDuration,
  strings,
} = require('../runtime/schema');
const { DEFAULT_REFUSED_BODY, refusedBodyOption } = require('../http/refused-body');
const { Reputation } = require('../reputation');
const { SecurityMonitor } = require('../security-monitor');
const { corsOption } = require('./cors');
const { priorityOption } = require('./priority');
const { recordOption } = require('./record-options');

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The limiter or the tracker checks what is inside. */
const optionsOrFalse = (value, option) => {
  if (value === false) return value;
  if (isObject(value)) return owned(value);
  throw invalidOption(option, value, 'an object of options, or false');
};

/** The shedder checks what is inside; `true` is all defaults. */
const overloadOption = (value, option) => {
  if (value === true) return owned();
  if (value === false) return value;
  if (isObject(value)) return owned(value);
  throw invalidOption(option, value, 'an object of options, true, or false');
};

/** Options of a part of the guard's own, or the name of one that others share. */
const partOf = (Part) => (value, option) => {
  if (value instanceof Part) return value.name;
  if (value === false) return value;
  if (isObject(value)) return owned(value);
  if (typeof value === 'string') {
    checkName(option, value);
    return value;
  }
  const accepted = `an object of options, a ${Part.name} or the name of one, or false`;
  throw invalidOption(option, value, accepted);
};

const functionOrInteger = (value, option) => {
  if (typeof value === 'function') return value;
  if (typeof value === 'number') return integer(1)(value, option);
  throw invalidOption(option, value, 'a positive integer, or a function that returns one');
};

const MOST_PERMITS = OPTIONS.Semaphore.permits.most;

const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

/** A header is compared in lower case, as Node names it. */
const headerOrFunction = (value, option) => {
  if (typeof value === 'function') return value;
  if (typeof value === 'string' && HEADER_NAME.test(value)) return value.toLowerCase();
  const accepted = 'the name of a header, such as "x-forwarded-for", or a function that returns an address';
  throw invalidOption(option, value, accepted);
};

/** For how long a request waits, in milliseconds; false where a route does not wait as its guard says. */
const durationOrFalse = (value, option) => (value === false ? value : parseDuration(value, option));
const CONCURRENCY = { max: integer(1, MOST_PERMITS), maxPerClient: integer(1, MOST_PERMITS) };

/** `{ max?, maxPerClient? }`, or false. */
const concurrencyOption = (value, option) => {
  if (value === false) return value;
  const accepted = 'an object with max, maxPerClient or both; or false';
  if (!isObject(value)) throw invalidOption(option, value, accepted);
  const caps = checkOptions(option, value, CONCURRENCY);
  if (Object.keys(caps).length === 0) throw invalidOption(option, value, accepted);
  return caps;
};

const falseOnly = (value, option) => {
  if (value === false) return value;
  throw invalidOption(option, value, 'false; max and maxPerClient are options of the guard');
};

/** Fastify's hooks in which the rate may be decided. */
const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'];

/** Options of a route. */
const ROUTE = {
  concurrency: falseOnly,
  rateLimit: optionsOrFalse,
  key: func,
  keyFallback: oneOf('client', 'refuse', 'error'),
  cost: functionOrInteger,
  skip: func,
  handler: func,
  skipPreflight: boolean,
  wait: durationOrFalse,
  countOnly: oneOf('failures', 'successes'),
  login: boolean,
  priority: priorityOption,
  hook: oneOf(...HOOKS),
};

/** A Fastify route may also name the limiter that it shares with other routes. */
const FASTIFY_ROUTE = { ...ROUTE, name: (value) => value };

const format = oneOf(true, 'draft-8', 'refused', 'legacy', false);
const headersOption = (value, option) => (format(value, option) === true ? 'draft-8' : value);

const POLICY_HEADER = ['always', 'once-per-connection'];

const GUARD = {
  ...ROUTE,
  name: (value) => value,
  concurrency: concurrencyOption,
  connections: optionsOrFalse,
  reputation: partOf(Reputation),
  monitor: partOf(SecurityMonitor),
  overload: overloadOption,
  record: recordOption,
  trustedProxies: strings,
  clientAddress: headerOrFunction,
  headers: headersOption,
  policyHeader: oneOf(...POLICY_HEADER),
  cors: corsOption,
  refusedBody: refusedBodyOption,
  dryRun: boolean,
  // Checked by the limiters.
  scope: (value) => value,
  onMismatch,
};

/** Middleware has no hooks: it decides where it is mounted. */
const MIDDLEWARE_GUARD = without(GUARD, 'hook');
/** A refusal in Nest is an exception, which filters answer. */
const NEST_GUARD = without(MIDDLEWARE_GUARD, 'handler');
const NEST_ROUTE = without(FASTIFY_ROUTE, 'hook', 'handler', 'concurrency');
/** A handshake is answered by the guard, and by nothing that middleware could set. */
const SOCKET_GUARD = without(
  NEST_GUARD,
  'concurrency',
  'connections',
  'cors',
  'countOnly',
  'keyFallback',
  'login',
  'skipPreflight',
  'wait',
);

/** By owner: what a guard takes, and what a route of its own. */
const SCHEMAS = {
  createGuard: { guard: GUARD, route: FASTIFY_ROUTE },
  'sluice/fastify': { guard: GUARD, route: FASTIFY_ROUTE },
  'sluice/nestjs': { guard: NEST_GUARD, route: NEST_ROUTE, routeName: '@Sluice' },
  'sluice/ws': { guard: SOCKET_GUARD, route: FASTIFY_ROUTE },
  'sluice/socket.io': { guard: SOCKET_GUARD, route: FASTIFY_ROUTE },
};
const MIDDLEWARE = { guard: MIDDLEWARE_GUARD, route: FASTIFY_ROUTE };

function schemasOf(owner) {
  return Object.hasOwn(SCHEMAS, owner) ? SCHEMAS[owner] : MIDDLEWARE;
}

function without(schema, ...names) {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => !names.includes(name)));
}

const DEFAULTS = {
  name: 'default',
  headers: 'draft-8',
  policyHeader: 'always',
  refusedBody: DEFAULT_REFUSED_BODY,
};

/** Valid options of a guard. Shared options that are left out are not filled in here: the existing guard may have them. */
function guardOptions(owner, options = {}) {
  const checked = owned(DEFAULTS, checkOptions(owner, options, schemasOf(owner).guard));
  checkName(owner, checked.name);
  checkPolicyHeader(owner, checked);
  checkScope(owner, checked);
  return checked;
}

/** A scope that would not cover every part is no scope of the guard. */
function checkScope(owner, { scope, concurrency }) {
  const isOfProcess = scope === undefined || scope === 'process';
  if (isOfProcess || concurrency === undefined || concurrency === false) return;
  const message = `${owner} scope together with concurrency, which cannot leave the process yet`;
  throw new SluiceError('UNSUPPORTED', `${message}; accepted: the scope among the options of rateLimit`);
}

/** Only the draft's headers have one for policies. */
function checkPolicyHeader(owner, { headers, policyHeader }) {
  if (policyHeader === 'always' || (headers !== 'legacy' && headers !== false)) return;
  const accepted = `${JSON.stringify(policyHeader)} together with headers "draft-8" or "refused"`;
  throw invalidOption(`${owner} policyHeader`, policyHeader, accepted);
}

/** Valid options of a route: only those that it gives. */
function routeOptions(owner, options) {
  const { route: schema, routeName = `${owner} config.sluice` } = schemasOf(owner);
  const checked = checkOptions(routeName, options, schema);
  if (checked.name !== undefined) checkShared(routeName, checked);
  return checked;
}

/** The first declared route creates the limiter that routes share, so each of them has to give its options. */
function checkShared(route, { name, rateLimit }) {
  checkName(route, name);
  if (typeof rateLimit === 'object') return;
  throw invalidOption(
    `${route} rateLimit`,
    rateLimit,
    `the options of the limiter that routes named "${name}" share`,
  );
}

module.exports = { HOOKS, SOCKET_GUARD, guardOptions, routeOptions };
