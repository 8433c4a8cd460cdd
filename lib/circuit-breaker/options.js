'use strict';

const { invalidOption, SluiceError } = require('../runtime/errors');
const { onMismatch } = require('../runtime/on-mismatch');
const { abortSignal, checkOptions, duration, func, integer, requireOptions } = require('../runtime/schema');

const numberWhere = (isValid, accepted) => (value, option) => {
  if (typeof value === 'number' && isValid(value)) return value;
  throw invalidOption(option, value, accepted);
};

const rate = numberWhere((value) => value > 0 && value <= 1, 'a number above 0 and up to 1');
const share = numberWhere((value) => value >= 0 && value <= 1, 'a number from 0 to 1');
const factor = numberWhere((value) => value >= 1 && value < Infinity, 'a number from 1');

const WINDOW = { calls: integer(1, 10_000), time: duration };

const DEFAULT_WINDOW = { calls: 100, time: undefined };

/** What all threads agree on. */
const SHARED = {
  failureRate: rate,
  slowCallDuration: duration,
  slowCallRate: rate,
  minimumCalls: integer(1, 1_000_000),
  window: oneWindow,
  openFor: duration,
  backoff: factor,
  maxOpenFor: duration,
  jitter: share,
  halfOpenCalls: integer(1, 10_000),
  timeout: duration,
  maxPeers: integer(1, 1_000_000),
};

const SCHEMA = { ...SHARED, errorFilter: func, onMismatch };

const CALL = { signal: abortSignal };

/**
 * `{ shared, errorFilter }`: the options of the breaker as native code takes them, and what is this object's alone.
 * Without any of the former they are `undefined`: the object only attaches.
 */
function circuitBreakerOptions(options) {
  if (options === undefined) return { shared: undefined, errorFilter: undefined };
  const checked = checkOptions('CircuitBreaker', options, SCHEMA);
  const { errorFilter } = checked;
  const ofObject = checked.errorFilter !== undefined || checked.onMismatch !== undefined;
  delete checked.errorFilter;
  delete checked.onMismatch;
  const attachesOnly = ofObject && Object.keys(checked).length === 0;
  return { shared: attachesOnly ? undefined : toNative(checked), errorFilter };
}

/** The caller's signal, if there is one. */
function callSignal(owner, options) {
  return options === undefined ? undefined : checkOptions(owner, options, CALL).signal;
}

function toNative(checked) {
  requireOptions('CircuitBreaker', checked, ['openFor']);
  const { window = DEFAULT_WINDOW } = checked;
  return {
    failureRate: checked.failureRate ?? 0.5,
    slowCallDurationMs: checked.slowCallDuration,
    slowCallRate: checked.slowCallRate ?? 1,
    minimumCalls: checked.minimumCalls ?? 10,
    windowCalls: window.calls,
    windowMs: window.time,
    openForMs: checked.openFor,
    backoff: checked.backoff ?? 1,
    maxOpenForMs: checked.maxOpenFor,
    jitter: checked.jitter ?? 0,
    halfOpenCalls: checked.halfOpenCalls ?? 1,
    timeoutMs: checked.timeout,
    maxPeers: checked.maxPeers ?? 10_000,
  };
}

function oneWindow(value, option) {
  const checked = checkOptions(option, value, WINDOW);
  const given = Object.keys(checked);
  if (given.length === 1) return checked;
  const what = given.length === 0 ? 'neither calls nor time' : 'both calls and time';
  throw new SluiceError(
    'INVALID_OPTION',
    `${option} has ${what}; accepted: { calls } for the last so many calls, or { time } for those of so long`,
  );
}

module.exports = { callSignal, circuitBreakerOptions };
