'use strict';

const { makeError } = require('./error-classes');
const { PREFIX, SluiceError } = require('./errors');

/** An error like the outlined one; any other thrown value as it was. */
function rebuild({ errors: outlines, value }) {
  if (outlines === undefined) return value;
  const errors = outlines.map(make);
  const resolve = (reference) => (typeof reference === 'number' ? errors[reference] : reference.value);
  for (const [place, outlined] of outlines.entries()) link(errors[place], outlined, resolve);
  return errors[0];
}

function make({ class: className, name, message, code, stack, fields }) {
  const error = isSluiceError(name, code)
    ? new SluiceError(code.slice(PREFIX.length), message)
    : makeError(className, message, name);
  if (error.name !== name) rename(error, name);
  if (error.code !== code) define(error, 'code', code, true);
  for (const [key, value] of fields) define(error, key, value, true);
  define(error, 'remoteStack', stack);
  return error;
}

/** What an error refers to. A chain may end where it began. */
function link(error, outlined, resolve) {
  for (const key of ['cause', 'error', 'suppressed']) {
    if (outlined[key] !== undefined) define(error, key, resolve(outlined[key]));
  }
  if (outlined.errors !== undefined) {
    define(error, 'errors', outlined.errors.map(resolve), outlined.areEnumerable);
  }
}

/** A stack begins with the name that the error had when it was captured. */
function rename(error, name) {
  define(error, 'name', name);
  Error.captureStackTrace(error, rebuild);
}

function isSluiceError(name, code) {
  return name === 'SluiceError' && typeof code === 'string' && code.startsWith(PREFIX);
}

function define(error, key, value, enumerable = false) {
  Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true });
}

module.exports = { rebuild };
