'use strict';

const { isAbortSignal } = require('./abort-listeners');
const { invalid, invalidOption, SluiceError } = require('./errors');
const { hintsFor } = require('./foreign-options');

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = /^(\d{1,15})(ms|s|m|h|d)$/;

/** A hundred years: sums of dates and waits in nanoseconds then fit 63 bits. */
const MAX_DURATION_MS = 36_525 * UNITS.d;
const ACCEPTED_DURATION =
  'milliseconds as an integer, or a text such as "250ms", "10s", "5m", "1h", "30d"; at most 100 years';

const MAX_NAME_LENGTH = 128;
const ACCEPTED_NAME = `a non-empty string of at most ${MAX_NAME_LENGTH} characters`;

/** The name of an instance, which is its identity. */
function checkName(owner, name) {
  if (!isName(name)) throw invalid('INVALID_NAME', `${owner} name`, name, ACCEPTED_NAME);
}

function isName(name) {
  return typeof name === 'string' && name !== '' && name.length <= MAX_NAME_LENGTH && isWellFormed(name);
}

/** A key that is kept as text, unlike a limiter's, of which only a hash is kept. */
function checkTextKey(what, key) {
  if (typeof key === 'string' && key !== '' && isWellFormed(key)) return;
  throw invalid('INVALID_KEY', what, key, 'a non-empty string without lone surrogates');
}

function isWellFormed(text) {
  return text.isWellFormed();
}

/**
 * A copy of the objects' own properties, the later ones first. Without a prototype, so that what is left out is not
 * read from a polluted `Object.prototype`.
 */
function owned(...objects) {
  return Object.assign(Object.create(null), ...objects);
}

/**
 * Options by schema: a table from option to checker, `(value, option) => normalised value`.
 * `undefined` is an option left out. What is in no schema is an error: a misspelt limit is no limit.
 */
function checkOptions(owner, options, schema) {
  checkObject(owner, options);
  const checked = owned();
  for (const key of Object.keys(options)) {
    if (!Object.hasOwn(schema, key)) {
      const accepted = (Object.keys(schema).join(', ') || 'none') + hintsFor(Object.keys(options), schema);
      throw new SluiceError('INVALID_OPTION', `${owner} has no option "${key}"; accepted: ${accepted}`);
    }
    if (options[key] !== undefined) checked[key] = schema[key](options[key], `${owner} ${key}`);
  }
  return checked;
}

function checkObject(owner, options) {
  if (options !== null && typeof options === 'object' && !Array.isArray(options)) return;
  throw invalidOption(`${owner} options`, options, 'an object');
}

/** Fails for the first option that is missing. */
function requireOptions(owner, options, names) {
  for (const name of names) {
    if (options[name] === undefined) {
      const accepted = `a value for it; required: ${names.join(', ')}`;
      throw invalidOption(`${owner} ${name}`, undefined, accepted);
    }
  }
}

function parseDuration(value, option, bounds) {
  const { least = 1, forever = false } = owned(bounds);
  const ms = durationOf(value);
  if (Number.isInteger(ms) && ms >= least && ms <= MAX_DURATION_MS) return ms;
  if (forever && ms === Number.POSITIVE_INFINITY) return ms;
  const accepted = least > 0 ? `${ACCEPTED_DURATION}, more than 0` : ACCEPTED_DURATION;
  throw invalidOption(option, value, forever ? `${accepted}; or Infinity` : accepted);
}

function durationOf(value) {
  if (typeof value === 'number') return value;
  const match = typeof value === 'string' ? DURATION.exec(value) : null;
  return match ? Number(match[1]) * UNITS[match[2]] : Number.NaN;
}

// Checkers for schemas.

const duration = (value, option) => parseDuration(value, option);

const integer =
  (least, most = Number.MAX_SAFE_INTEGER) =>
  (value, option) => {
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw invalidOption(option, value, `an integer from ${least} to ${most}`);
  };

const boolean = (value, option) => {
  if (typeof value === 'boolean') return value;
  throw invalidOption(option, value, 'true or false');
};

const func = (value, option) => {
  if (typeof value === 'function') return value;
  throw invalidOption(option, value, 'a function');
};

const abortSignal = (value, option) => {
  if (isAbortSignal(value)) return value;
  throw invalidOption(option, value, 'an AbortSignal');
};

const oneOf =
  (...choices) =>
  (value, option) => {
    if (choices.includes(value)) return value;
    throw invalidOption(option, value, choices.map((choice) => JSON.stringify(choice)).join(', '));
  };

const strings = (value, option) => {
  // A copy has no holes, which `every` skips.
  const copy = Array.isArray(value) ? [...value] : undefined;
  if (copy?.every((item) => typeof item === 'string')) return copy;
  throw invalidOption(option, value, 'an array of strings');
};

/** Options within options. */
const object = (schema, required) => (value, option) => {
  const checked = checkOptions(option, value, schema);
  requireOptions(option, checked, required);
  return checked;
};

/** `{ limit, window, burst? }`: so many units per so much time. */
const QUOTA = { limit: integer(1), window: duration, burst: integer(1) };
const quota = object(QUOTA, ['limit', 'window']);

/** A quota as native code takes it. */
function nativeQuota({ limit, window, burst }) {
  return { limit, windowMs: window, burst };
}

module.exports = {
  ACCEPTED_NAME,
  MAX_DURATION_MS,
  QUOTA,
  abortSignal,
  boolean,
  checkName,
  checkObject,
  checkOptions,
  checkTextKey,
  duration,
  func,
  integer,
  isName,
  nativeQuota,
  object,
  oneOf,
  owned,
  parseDuration,
  quota,
  requireOptions,
  strings,
};
