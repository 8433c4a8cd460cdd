'use strict';

const { SluiceError } = require('../runtime/errors');
const { checkOptions, parseDuration } = require('../runtime/schema');

const READY = { timeout: (value, option) => parseDuration(value, option) };
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
