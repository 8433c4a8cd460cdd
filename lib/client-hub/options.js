'use strict';

const { schemaOf } = require('../runtime/declared-options');
const { onMismatch } = require('../runtime/on-mismatch');
const { abortSignal, checkOptions, duration, func, parseDuration } = require('../runtime/schema');

const HUB = schemaOf('ClientHub', { onMismatch });

const durationOrFunction = (value, option) => (typeof value === 'function' ? value : duration(value, option));

const CALL = {
  ttl: durationOrFunction,
  staleWhileRevalidate: durationOrFunction,
  staleIfError: duration,
  retryAfter: (value, option) => parseDuration(value, option, { least: 0 }),
  timeout: duration,
  signal: abortSignal,
};

const CLIENT = { ...CALL, revive: func, dispose: func };

const DEFAULT_TIMEOUT_MS = 30_000;

/** Fills in no defaults: an option that is left out is not compared with those of an existing hub. */
function hubOptions(options) {
  return checkOptions('ClientHub', options, HUB);
}

function callOptions(options) {
  return withDefaults(checkOptions('ClientHub getOrInit', options, CALL));
}

function clientOptions(options) {
  return withDefaults(checkOptions('ClientHub client', options, CLIENT));
}

function withDefaults(checked) {
  checked.timeout ??= DEFAULT_TIMEOUT_MS;
  checked.retryAfter ??= 0;
  return checked;
}

const checkInit = (init) => func(init, 'ClientHub initialiser');

module.exports = { callOptions, checkInit, clientOptions, hubOptions };
