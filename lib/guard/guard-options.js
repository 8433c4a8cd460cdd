'use strict';

const { invalidOption } = require('../errors');
const { boolean, checkName, checkOptions, func, integer, oneOf, strings } = require('../options');
const { Reputation } = require('../reputation');
const { SecurityMonitor } = require('../security-monitor');
const { recordOption } = require('./record-options');

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is inside is for the limiter or the tracker to judge. */
const optionsOrFalse = (value, option) => {
  if (value === false || isObject(value)) return value;
  throw invalidOption(option, value, 'an object of options, or false');
};

/** Options of a part of its own, or the name of one that others use as well. */
const partOf = (Part) => (value, option) => {
  if (value instanceof Part) return value.name;
  if (value === false || isObject(value)) return value;
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

const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

/** A header is compared in lower case, as Node names it. */
const headerOrFunction = (value, option) => {
  if (typeof value === 'function') return value;
  if (typeof value === 'string' && HEADER_NAME.test(value)) return value.toLowerCase();
  const accepted = 'the name of a header, such as "x-forwarded-for", or a function that returns an address';
  throw invalidOption(option, value, accepted);
};

/** What a route may say for itself. */
const ROUTE = {
  rateLimit: optionsOrFalse,
  key: func,
  cost: functionOrInteger,
  skip: func,
  handler: func,
  countOnly: oneOf('failures', 'successes'),
  login: boolean,
};

const GUARD = {
  ...ROUTE,
  name: (value) => value,
  connections: optionsOrFalse,
  reputation: partOf(Reputation),
  monitor: partOf(SecurityMonitor),
  record: recordOption,
  trustedProxies: strings,
  clientAddress: headerOrFunction,
  headers: oneOf('draft-8', 'legacy', false),
  dryRun: boolean,
};

/** Valid from here on; what is left out is as the guard of this name has it, or the default. */
function guardOptions(owner, options = {}) {
  const { name = 'default', headers = 'draft-8', ...checked } = checkOptions(owner, options, GUARD);
  checkName(owner, name);
  return { ...checked, name, headers };
}

/** Holds only what the route does say. */
function routeOptions(owner, options) {
  return checkOptions(`${owner} config.sluice`, options, ROUTE);
}

module.exports = { guardOptions, routeOptions };
