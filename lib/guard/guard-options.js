'use strict';

const { invalidOption } = require('../errors');
const { boolean, checkName, checkOptions, func, integer, oneOf, owned, strings } = require('../options');
const { Reputation } = require('../reputation');
const { SecurityMonitor } = require('../security-monitor');
const { recordOption } = require('./record-options');

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is inside is for the limiter or the tracker to judge. */
const optionsOrFalse = (value, option) => {
  if (value === false) return value;
  if (isObject(value)) return owned(value);
  throw invalidOption(option, value, 'an object of options, or false');
};

/** Options of a part of its own, or the name of one that others use as well. */
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
  reputation: partOf(Reputation),
  monitor: partOf(SecurityMonitor),
  record: recordOption,
  trustedProxies: strings,
  headers: oneOf('draft-8', 'legacy', false),
  dryRun: boolean,
};

const DEFAULTS = { name: 'default', headers: 'draft-8' };

/** Valid from here on; what is left out is as the guard of this name has it, or the default. */
function guardOptions(owner, options = {}) {
  const checked = owned(DEFAULTS, checkOptions(owner, options, GUARD));
  checkName(owner, checked.name);
  return checked;
}

/** Holds only what the route does say. */
function routeOptions(owner, options) {
  return checkOptions(`${owner} config.sluice`, options, ROUTE);
}

module.exports = { guardOptions, routeOptions };
