'use strict';

const v8 = require('node:v8');
const { SluiceError } = require('./errors');
const { outline } = require('./outlined-error');
const { rebuild } = require('./rebuilt-error');

/** A thrown value as bytes for other threads; see `outline`. */
function packError(thrown) {
  return v8.serialize(outline(thrown));
}

/** Never throws: bytes that hold no error give an error that says so. */
function unpackError(bytes) {
  try {
    return rebuild(v8.deserialize(bytes));
  } catch (cause) {
    return undecodable('an error of another thread', cause);
  }
}

/** The error for bytes of another thread that cannot be decoded. */
function undecodable(what, cause) {
  return new SluiceError('INVALID_VALUE', `${what} cannot be decoded: ${cause?.message}`, { cause });
}

module.exports = { outline, packError, rebuild, undecodable, unpackError };
