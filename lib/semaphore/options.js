'use strict';

const { checkDeclared, schemaOf } = require('../runtime/declared-options');
const { OPTIONS } = require('../runtime/layouts');
const { onMismatch } = require('../runtime/on-mismatch');
const { processScope } = require('../runtime/process-scope');
const { abortSignal, checkOptions, integer, parseDuration } = require('../runtime/schema');

const SCHEMA = schemaOf('Semaphore', { scope: processScope, onMismatch });
const REPLACEMENT = schemaOf('Semaphore');

const TAKE = {
  /** Native code checks it, as it reads it. */
  key: (value) => value,
  permits: integer(1, OPTIONS.Semaphore.permits.most),
};

const WAIT = {
  ...TAKE,
  timeout: (value, option) => parseDuration(value, option, { forever: true }),
  signal: abortSignal,
};

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULTS = request(Object.create(null));

/** What a call asks for. With a prototype and all properties, which V8 reads faster. */
function request({ key, permits = 1, timeout = DEFAULT_TIMEOUT_MS, signal }) {
  return { key, permits, timeout, signal };
}

function creationOptions(options) {
  return checkDeclared('Semaphore', options, SCHEMA);
}

/** Options that are left out stay as they are. */
function replacementOptions(options) {
  return checkOptions('Semaphore reconfigure', options, REPLACEMENT);
}

/** Of a call that does not wait: `{ key?, permits }`. */
function takeOptions(owner, options) {
  return options === undefined ? DEFAULTS : request(checkOptions(owner, options, TAKE));
}

/** Of a call that may wait: `{ key?, permits, timeout, signal? }`. */
function waitOptions(owner, options) {
  return options === undefined ? DEFAULTS : request(checkOptions(owner, options, WAIT));
}

module.exports = { creationOptions, replacementOptions, takeOptions, waitOptions };
