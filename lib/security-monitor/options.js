'use strict';

const { checkDeclared, requiredOf, schemaOf } = require('../runtime/declared-options');
const { invalidOption } = require('../runtime/errors');
const { onMismatch } = require('../runtime/on-mismatch');
const { ACCEPTED_NAME, checkName, checkOptions, isName, requireOptions } = require('../runtime/schema');
const { defaultPolicyName } = require('../rate-limiter/options');

const RULE = schemaOf('SecurityMonitor rules', { name, event });
/** A rule without a name gets one here. */
const REQUIRED_OF_RULE = requiredOf('SecurityMonitor rules').filter((option) => option !== 'name');

const SCHEMA = schemaOf('SecurityMonitor', { rules, reputation: name, onMismatch });

/** The options that all threads share, as native code takes them. */
function sharedOptions(options) {
  const { onMismatch: _, ...shared } = checkDeclared('SecurityMonitor', options, SCHEMA);
  return shared;
}

/** `login-failed-5-per-1m`, `login-failed-distinct-5-per-1m`: the name of a rule that is given none. */
function defaultName({ event, count, window, distinct }) {
  return `${event}${distinct ? '-distinct' : ''}-${defaultPolicyName({ limit: count, window })}`;
}

function rules(value, option) {
  if (!Array.isArray(value)) {
    const accepted = 'an array of { name?, event, count, window, distinct?, mute?, action }';
    throw invalidOption(option, value, accepted);
  }
  // A copy has no holes.
  return Array.from(value).map((rule, index) => {
    const checked = checkOptions(`${option}[${index}]`, rule, RULE);
    requireOptions(`${option}[${index}]`, checked, REQUIRED_OF_RULE);
    checked.name ??= defaultName(checked);
    return checked;
  });
}

function event(value, option) {
  if (isName(value)) return value;
  throw invalidOption(option, value, ACCEPTED_NAME);
}

function name(value, option) {
  checkName(option.replace(/ name$/, ''), value);
  return value;
}

module.exports = { sharedOptions };
