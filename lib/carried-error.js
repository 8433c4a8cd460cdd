'use strict';

const v8 = require('node:v8');
const { types } = require('node:util');
const { describe, PREFIX, SluiceError } = require('./errors');
const { encode } = require('./value');

/** Causes of causes that are carried along. */
const MAX_DEPTH = 8;

/** Errors of the language keep their class. */
const STANDARD = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

/** What was thrown, as bytes for other threads; see `outline`. */
function packError(thrown) {
  return v8.serialize(outline(thrown));
}

function unpackError(bytes) {
  return rebuild(v8.deserialize(bytes));
}

/**
 * What was thrown, as a plain value for other threads: `{ error }` with name, message, code, cause and stack of an error,
 * `{ value }` of anything else. Never throws.
 */
function outline(thrown) {
  try {
    return outlineTo(thrown, MAX_DEPTH);
  } catch {
    return outlineTo(new Error('an error that cannot be read'), 0);
  }
}

/** An error like the one that was thrown; anything else that was thrown as it was, where it is plain. */
function rebuild({ error: outlined, value }) {
  if (outlined === undefined) return value;
  const { name, message, code, stack, cause } = outlined;
  const options = cause === undefined ? undefined : { cause: rebuild(cause) };
  const error = make(name, code, message, options);
  hidden(error, 'stack', stack);
  return error;
}

function outlineTo(thrown, depth) {
  if (!types.isNativeError(thrown) && !(thrown instanceof Error)) return { value: plain(thrown) };
  const { name, message, code, stack } = thrown;
  const error = { name: text(name), message: text(message), stack: text(stack) };
  if (code !== undefined) error.code = plain(code);
  if (Object.hasOwn(thrown, 'cause') && depth > 0) error.cause = outlineTo(thrown.cause, depth - 1);
  return { error };
}

function make(name, code, message, options) {
  if (name === 'SluiceError' && typeof code === 'string' && code.startsWith(PREFIX)) {
    return new SluiceError(code.slice(PREFIX.length), message, options);
  }
  const error = new (Object.hasOwn(STANDARD, name) ? STANDARD[name] : Error)(message, options);
  if (name !== error.name) hidden(error, 'name', name);
  if (code !== undefined) error.code = code;
  return error;
}

function hidden(error, property, value) {
  Object.defineProperty(error, property, { value, configurable: true, writable: true });
}

/** Of plain values a copy, which a getter changes no more, of others a description. */
function plain(value) {
  try {
    return v8.deserialize(encode(value, 'value'));
  } catch {
    return describe(value);
  }
}

function text(value) {
  return typeof value === 'string' ? value : describe(value);
}

module.exports = { outline, packError, rebuild, unpackError };
