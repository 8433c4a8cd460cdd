'use strict';

const v8 = require('node:v8');
const { SluiceError } = require('./errors');
const { ArrayNode, isPlainObject, ObjectNode, walk } = require('./value-walk');

const ACCEPTED =
  'null, undefined, booleans, numbers, bigints, strings, arrays and plain objects of these, without cycles';

/** Plain data. It is copied property by property, so what was checked is what is kept: a getter may answer differently. */
const PLAIN = { __proto__: null, accepted: ACCEPTED, takesUndefined: true, copies: true, open: openPlain };
const DEFINED = {
  __proto__: null,
  ...PLAIN,
  accepted: ACCEPTED.replace(' undefined,', ''),
  takesUndefined: false,
};

/** A value as bytes that every thread reads. `what` names it in the error, with the path within. */
function encode(value, what) {
  return serialize(walk(value, what, PLAIN), what);
}

/** As `encode`, where undefined is no value, nor within one. */
function encodeDefined(value, what) {
  return serialize(walk(value, what, DEFINED), what);
}

/** A copy of plain data that is nested in so many levels already. */
function copyPlain(value, what, levelsAbove) {
  return walk(value, what, PLAIN, levelsAbove);
}

/** The bytes of a checked value. Still fails when they are too many, or when a getter answers differently than before. */
function serialize(value, what) {
  try {
    return v8.serialize(value);
  } catch (cause) {
    throw new SluiceError('INVALID_VALUE', `${what} cannot be serialized: ${cause.message}`, { cause });
  }
}

/** The value behind such bytes, deeply frozen: every reader of a thread has the same object. */
function decode(bytes) {
  return freeze(v8.deserialize(bytes));
}

function openPlain(object, fail) {
  if (Array.isArray(object)) {
    if (Object.keys(object).length > object.length) fail('an array with properties');
    return new ArrayNode(object, []);
  }
  if (!isPlainObject(object)) return undefined;
  if (Object.getOwnPropertySymbols(object).length > 0) fail('an object with symbols');
  return new ObjectNode(object);
}

function freeze(value) {
  for (const rest = [value]; rest.length > 0; ) {
    const object = rest.pop();
    if (object === null || typeof object !== 'object' || Object.isFrozen(object)) continue;
    Object.freeze(object);
    for (const key of Object.keys(object)) rest.push(object[key]);
  }
  return value;
}

module.exports = { copyPlain, decode, encode, encodeDefined, serialize };
