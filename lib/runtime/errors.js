'use strict';

const PREFIX = 'ERR_SLUICE_';

/** The page that has a heading for each code, as a path in the package. */
const PAGE = 'sluice/docs/errors.md';

/**
 * A mistake of the caller or a fault; a refusal is not an error. `code` is stable, the text is not.
 * Native code makes these too: it calls the constructor with the same arguments.
 */
class SluiceError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.code = PREFIX + code;
  }

  /** The place in the docs that explains the code. No property of its own: it is not logged, and does not travel. */
  get help() {
    return helpFor(this.code);
  }
}

/** The place of a code of errors or warnings in the docs. */
function helpFor(code) {
  return `${PAGE}#${code.toLowerCase()}`;
}

Object.defineProperty(SluiceError.prototype, 'name', {
  value: 'SluiceError',
  configurable: true,
  writable: true,
});

/** What was given, as a message shows it. */
function describe(value) {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  }
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (value === null || typeof value !== 'object') return String(value);
  return Array.isArray(value) ? 'an array' : 'an object';
}

/** Whether a thrown value has this name. Its accessors may throw. */
function hasName(thrown, name) {
  try {
    return thrown?.name === name;
  } catch {
    return false;
  }
}

function invalid(code, what, given, accepted) {
  return new SluiceError(code, `${what} is ${describe(given)}; accepted: ${accepted}`);
}

function invalidOption(option, given, accepted) {
  return invalid('INVALID_OPTION', option, given, accepted);
}

module.exports = { PREFIX, SluiceError, describe, hasName, helpFor, invalid, invalidOption };
