'use strict';

const { schemaOf } = require('../runtime/declared-options');
const { invalidOption } = require('../runtime/errors');
const { onMismatch } = require('../runtime/on-mismatch');
const {
  ACCEPTED_NAME,
  abortSignal,
  checkOptions,
  duration,
  isName,
  parseDuration,
} = require('../runtime/schema');

const DEFAULT_CALL_TIMEOUT_MS = 30_000;
const DEFAULT_CLOSE_TIMEOUT_MS = 10_000;

const BROKER = { id: name, metadata: (value) => value, ...schemaOf('Broker', { onMismatch }) };
const CALL = { timeout: duration, signal: abortSignal, to: name };
const CLOSE = { timeout: (value, option) => parseDuration(value, option, { least: 0 }) };

const NO_OPTIONS = Object.freeze({});

function brokerOptions(options = NO_OPTIONS) {
  return checkOptions('Broker', options, BROKER);
}

function callOptions(options) {
  return checkOptions('Broker call', options, CALL);
}

/** Milliseconds. */
function closeTimeout(options = NO_OPTIONS) {
  return checkOptions('Broker close', options, CLOSE).timeout ?? DEFAULT_CLOSE_TIMEOUT_MS;
}

function name(value, option) {
  if (isName(value)) return value;
  throw invalidOption(option, value, ACCEPTED_NAME);
}

module.exports = { DEFAULT_CALL_TIMEOUT_MS, brokerOptions, callOptions, closeTimeout };
