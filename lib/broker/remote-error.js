'use strict';

const { SluiceError, describe } = require('../errors');
const { encode } = require('./codec');

const STANDARD = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
const PREFIX = 'ERR_SLUICE_';

/** Causes of causes that travel. */
const MOST_CAUSES = 8;

/** What tells another thread of something thrown, as a value that can be encoded. */
function describeError(thrown, causes = 0) {
  if (!(thrown instanceof Error)) {
    const message =
      typeof thrown === 'string' ? thrown : `a handler threw ${describe(thrown)}, which is no Error`;
    return { name: 'Error', message, cause: { value: plain(thrown) } };
  }
  const { name, message, stack, code } = thrown;
  const told = { name: String(name), message: String(message) };
  if (typeof stack === 'string') told.stack = stack;
  if (code !== undefined) told.code = plain(code);
  if (thrown.cause === undefined || causes === MOST_CAUSES) return told;
  told.cause =
    thrown.cause instanceof Error
      ? { error: describeError(thrown.cause, causes + 1) }
      : { value: plain(thrown.cause) };
  return told;
}

/** The value, or words for it where it cannot travel. */
function plain(value) {
  try {
    encode(value, 'value');
    return value;
  } catch {
    return describe(value);
  }
}

/** The error as it was thrown: name, message, code, cause, and the stack of where that was. */
function reviveError({ name, message, stack, code, cause }) {
  const options =
    cause === undefined ? undefined : { cause: cause.error ? reviveError(cause.error) : cause.value };
  const error = make(name, message, code, options);
  if (error.name !== name) define(error, 'name', name);
  if (code !== undefined && error.code !== code) error.code = code;
  if (stack !== undefined) define(error, 'stack', stack);
  return error;
}

function make(name, message, code, options) {
  if (name === 'SluiceError' && typeof code === 'string' && code.startsWith(PREFIX)) {
    return new SluiceError(code.slice(PREFIX.length), message, options);
  }
  const Standard = Object.hasOwn(STANDARD, name) ? STANDARD[name] : Error;
  return new Standard(message, options);
}

function define(error, key, value) {
  Object.defineProperty(error, key, { value, configurable: true, writable: true });
}

module.exports = { describeError, reviveError };
