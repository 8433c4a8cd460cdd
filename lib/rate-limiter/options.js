'use strict';

const { invalidOption, SluiceError } = require('../runtime/errors');
const { onMismatch } = require('../runtime/on-mismatch');
const {
  boolean,
  checkName,
  checkOptions,
  duration,
  integer,
  oneOf,
  owned,
  requireOptions,
} = require('../runtime/schema');

const QUOTA = { limit: integer(1), window: duration, burst: integer(1) };
const ALGORITHM = { algorithm: oneOf('gcra', 'fixed-window', 'sliding-window') };
const TABLE = { maxKeys: integer(1, 2 ** 32), overflow: oneOf('evict', 'deny', 'allow'), dryRun: boolean };

const LIMIT = { name: policyName, ...QUOTA, ...ALGORITHM };
const SCHEMA = { ...QUOTA, ...ALGORITHM, limits: listOfLimits, ...TABLE, scope: processOnly };
const CREATION = { ...SCHEMA, onMismatch };

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

/** Options of a new limiter, complete, as native code takes them. */
function nativeOptions(name, options) {
  const checked = checkOptions('RateLimiter', options, CREATION);
  const { maxKeys = 1_000_000, overflow = 'evict', dryRun = false } = checked;
  return { limits: limitsOf(name, 'RateLimiter', checked), maxKeys, overflow, dryRun };
}

/** The options in force, with those that were given in their place. */
function replacementOptions(name, current, options) {
  const given = checkOptions('reconfigure', options, SCHEMA);
  const [single, ...others] = current.limits;
  const isSingle = others.length === 0;
  const ofSingle = ['limit', 'window', 'burst', 'algorithm'].find((option) => given[option] !== undefined);
  let { limits } = current;
  if (given.limits !== undefined) {
    limits = limitsOf(name, 'reconfigure', given);
  } else if (ofSingle !== undefined) {
    if (!isSingle) {
      const accepted = 'nothing: this limiter has several limits, which change by limits';
      throw invalidOption(`reconfigure ${ofSingle}`, given[ofSingle], accepted);
    }
    const { limit, windowMs: window, burst } = owned(single.quota);
    limits = [nativeLimit(single.name, { limit, window, burst, algorithm: single.algorithm, ...given })];
  }
  return {
    limits,
    maxKeys: given.maxKeys ?? current.maxKeys,
    overflow: given.overflow ?? current.overflow,
    dryRun: given.dryRun ?? current.dryRun,
  };
}

/** `limit` and `window`, which have the limiter's name; or `limits`, each with its own. */
function limitsOf(name, owner, checked) {
  if (checked.limits === undefined) {
    requireOptions(owner, checked, ['limit', 'window']);
    return [nativeLimit(name, checked)];
  }
  for (const option of ['limit', 'window', 'burst', 'algorithm']) {
    if (checked[option] === undefined) continue;
    throw invalidOption(
      `${owner} ${option}`,
      checked[option],
      `nothing beside limits: it belongs in one of them`,
    );
  }
  return checked.limits.map((limit) => nativeLimit(limit.name ?? defaultPolicyName(limit), limit));
}

function nativeLimit(name, { limit, window, burst, algorithm = 'gcra' }) {
  return { name, quota: { limit, windowMs: window, burst }, algorithm };
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
    requireOptions(`${option}[${index}]`, checked, ['limit', 'window']);
    return checked;
  });
}

function policyName(value, option) {
  checkName(option.replace(/ name$/, ''), value);
  return value;
}

function processOnly(value, option) {
  if (value === 'process') return value;
  throw new SluiceError('UNSUPPORTED', `${option}: this version supports only "process"`);
}

module.exports = { defaultPolicyName, nativeOptions, replacementOptions };
