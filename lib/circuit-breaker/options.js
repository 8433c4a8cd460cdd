'use strict';

const { requiredOf, schemaOf } = require('../runtime/declared-options');
const { SluiceError } = require('../runtime/errors');
const { onMismatch } = require('../runtime/on-mismatch');
const { abortSignal, checkOptions, func, requireOptions } = require('../runtime/schema');

const WINDOW = schemaOf('CircuitBreaker window');

const SCHEMA = schemaOf('CircuitBreaker', { window: oneWindow, errorFilter: func, onMismatch });

const CALL = { signal: abortSignal };

/**
 * `{ shared, errorFilter }`: the options that all threads share, and the filter of this object. `shared` is undefined
 * where no shared option is given: the object only attaches.
 */
function circuitBreakerOptions(options) {
  if (options === undefined) return { shared: undefined, errorFilter: undefined };
  const { errorFilter, onMismatch: mismatch, ...shared } = checkOptions('CircuitBreaker', options, SCHEMA);
  const hasOwn = errorFilter !== undefined || mismatch !== undefined;
  if (hasOwn && Object.keys(shared).length === 0) return { shared: undefined, errorFilter };
  requireOptions('CircuitBreaker', shared, requiredOf('CircuitBreaker'));
  return { shared, errorFilter };
}

/** The caller's signal, if any. */
function callSignal(owner, options) {
  return options === undefined ? undefined : checkOptions(owner, options, CALL).signal;
}

function oneWindow(value, option) {
  const checked = checkOptions(option, value, WINDOW);
  const given = Object.keys(checked);
  if (given.length === 1) return checked;
  const what = given.length === 0 ? 'neither calls nor time' : 'both calls and time';
  throw new SluiceError(
    'INVALID_OPTION',
    `${option} has ${what}; accepted: { calls } for the last N calls, or { time } for the calls of a period`,
  );
}

module.exports = { callSignal, circuitBreakerOptions };
