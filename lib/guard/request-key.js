'use strict';

const { invalid } = require('../runtime/errors');
const { ownKey } = require('./request-client');

const ACCEPTED = 'a non-empty string, a number or a bigint; null or undefined for no key';

/**
 * The key that a `key` function returned: its text, or null where it is no key.
 *
 * @throws {SluiceError} `INVALID_KEY` for another type.
 */
function keyOf(given) {
  if (typeof given === 'string') return given === '' ? null : ownKey(given);
  if (typeof given === 'number') return Number.isNaN(given) ? null : String(given);
  if (typeof given === 'bigint') return String(given);
  if (given === undefined || given === null) return null;
  throw invalid('INVALID_KEY', 'what key returned', given, ACCEPTED);
}

/** The error of `keyFallback: 'error'`, for what was returned instead of a key. */
function missingKey(given) {
  return invalid('INVALID_KEY', 'what key returned', given, 'a non-empty string, a number or a bigint');
}

module.exports = { keyOf, missingKey };
