'use strict';

const { checkDeclared, schemaOf } = require('../runtime/declared-options');
const { OPTIONS } = require('../runtime/layouts');
const { onMismatch } = require('../runtime/on-mismatch');
const { processScope } = require('../runtime/process-scope');
const { abortSignal, checkOptions, integer, owned, parseDuration } = require('../runtime/schema');

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

const DEFAULTS = Object.freeze(owned({ permits: 1, timeout: 30_000 }));

function creationOptions(options) {
  return checkDeclared('Semaphore', options, SCHEMA);
}

/** Options that are left out stay as they are. */
function replacementOptions(options) {
  return checkOptions('Semaphore reconfigure', options, REPLACEMENT);
}

/** Of a call that does not wait: `{ key?, permits }`. */
function takeOptions(owner, options) {
  return options === undefined ? DEFAULTS : owned(DEFAULTS, checkOptions(owner, options, TAKE));
}

/** Of a call that may wait: `{ key?, permits, timeout, signal? }`. */
function waitOptions(owner, options) {
  return options === undefined ? DEFAULTS : owned(DEFAULTS, checkOptions(owner, options, WAIT));
}

module.exports = { creationOptions, replacementOptions, takeOptions, waitOptions };
