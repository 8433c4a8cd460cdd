'use strict';

const { requiredOf, schemaOf } = require('../runtime/declared-options');
const { invalidOption } = require('../runtime/errors');
const { onMismatch } = require('../runtime/on-mismatch');
const { checkName, checkOptions, owned, requireOptions } = require('../runtime/schema');
const { scopeOption } = require('./fleet/scope');

const LIMIT = schemaOf('Limit', { name: policyName });
/** The options of a single limit, which has the name of its limiter. */
const { name: _, ...SINGLE } = LIMIT;
const SCHEMA = { ...SINGLE, ...schemaOf('RateLimiter', { limits: listOfLimits, scope: scopeOption }) };
const CREATION = { ...SCHEMA, onMismatch };

/** Keys that the table is sized for where processes share it: all of its memory is reserved when it is made. */
const SHARED_MAX_KEYS = 100_000;

/** @type {[string, number][]} */
const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

/** The options of a new limiter, checked: a single limit is the only one of `limits`. */
function creationOptions(name, options) {
  const checked = checkOptions('RateLimiter', options, CREATION);
  if (checked.scope?.machine !== undefined) checked.maxKeys ??= SHARED_MAX_KEYS;
  if (checked.limits !== undefined) return withNamedLimits('RateLimiter', checked);
  requireOptions('RateLimiter', checked, requiredOf('Quota'));
  return owned(checked, { limits: [owned(checked, { name })] });
}

/** The options of `reconfigure`, checked. Those that are left out stay in force. */
function replacementOptions(options) {
  const checked = checkOptions('reconfigure', options, SCHEMA);
  return checked.limits === undefined ? checked : withNamedLimits('reconfigure', checked);
}

function withNamedLimits(owner, checked) {
  for (const option of Object.keys(SINGLE)) {
    if (checked[option] === undefined) continue;
    const accepted = 'nothing beside limits: it belongs in one of them';
    throw invalidOption(`${owner} ${option}`, checked[option], accepted);
  }
  for (const limit of checked.limits) limit.name ??= defaultPolicyName(limit);
  return checked;
}

/** `100-per-1m`: what a limit without a name is called in decisions and headers. */
function defaultPolicyName({ limit, window }) {
  const [unit, ms] = UNITS.find(([, length]) => window % length === 0);
  return `${limit}-per-${window / ms}${unit}`;
}

function listOfLimits(value, option) {
  if (!Array.isArray(value)) {
    throw invalidOption(option, value, 'an array of { name?, limit, window, burst?, algorithm? }');
  }
  // A copy has no holes.
  return Array.from(value).map((limit, index) => {
    const checked = checkOptions(`${option}[${index}]`, limit, LIMIT);
    requireOptions(`${option}[${index}]`, checked, requiredOf('Quota'));
    return checked;
  });
}

function policyName(value, option) {
  checkName(option.replace(/ name$/, ''), value);
  return value;
}

/** Checked options as native code takes them: of the scope, only what has to agree, in words. */
function nativeOptions(checked) {
  const scope = checked?.scope;
  return typeof scope === 'object' ? owned(checked, { scope: scope.description }) : checked;
}

module.exports = { creationOptions, defaultPolicyName, nativeOptions, replacementOptions };
