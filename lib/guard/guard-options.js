'use strict';

const { invalidOption } = require('../errors');
const { boolean, checkName, checkOptions, func, integer, oneOf, strings } = require('../options');

const DEFAULT_RATE_LIMIT = { limit: 100, window: '1m' };

/** What is inside is for the limiter or the tracker to judge. */
const optionsOrFalse = (value, option) => {
  if (value === false || (typeof value === 'object' && value !== null)) return value;
  throw invalidOption(option, value, 'an object of options, or false');
};

const functionOrInteger = (value, option) => {
  if (typeof value === 'function') return value;
  if (typeof value === 'number') return integer(1)(value, option);
  throw invalidOption(option, value, 'a positive integer, or a function that returns one');
};

/** What a route may say for itself. */
const ROUTE = {
  rateLimit: optionsOrFalse,
  key: func,
  cost: functionOrInteger,
  skip: func,
  handler: func,
  countOnly: oneOf('failures', 'successes'),
};

const GUARD = {
  ...ROUTE,
  name: (value) => value,
  connections: optionsOrFalse,
  trustedProxies: strings,
  headers: oneOf('draft-8', 'legacy', false),
  dryRun: boolean,
};

/** Complete and valid from here on. */
function guardOptions(owner, options = {}) {
  const checked = checkOptions(owner, options, GUARD);
  const { name = 'default', rateLimit = DEFAULT_RATE_LIMIT, connections = false } = checked;
  const { trustedProxies = [], headers = 'draft-8', dryRun = false } = checked;
  checkName(owner, name);
  return { ...checked, name, rateLimit, connections, trustedProxies, headers, dryRun };
}

/** Holds only what the route does say. */
function routeOptions(owner, options) {
  return checkOptions(`${owner} config.sluice`, options, ROUTE);
}

module.exports = { guardOptions, routeOptions };
