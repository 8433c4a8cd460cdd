'use strict';

const { MAX_TIMER_MS } = require('../runtime/deadline');
const { invalidOption, SluiceError } = require('../runtime/errors');
const { checkOptions, parseDuration } = require('../runtime/schema');

/** A server is awaited by the time of the system, whatever the clock of a test says. */
const timeout = (value, option) => {
  const ms = parseDuration(value, option);
  if (ms <= MAX_TIMER_MS) return ms;
  throw invalidOption(option, value, 'a duration as in "5s", of at most 24 days');
};

const READY = { timeout };
const DEFAULT_READY_MS = 5_000;

/** The timeout of `ready`, in milliseconds. */
function checkReady(options) {
  return checkOptions('ready', options, READY).timeout ?? DEFAULT_READY_MS;
}

/** A synchronous method of a limiter that counts on a server. */
function notAwaited(method) {
  const why = 'a synchronous call cannot await Redis, where this limiter counts';
  const accepted = method === 'clear' ? 'resetAsync(key) for each key' : `${method}Async`;
  return new SluiceError('UNSUPPORTED', `${method}: ${why}; accepted: ${accepted}`);
}

module.exports = { checkReady, notAwaited };
