'use strict';

const v8 = require('node:v8');
const { describe, SluiceError } = require('./errors');

const ACCEPTED =
  'null, undefined, booleans, numbers, bigints, strings, arrays and plain objects of these, without cycles';
const ACCEPTED_DEFINED = ACCEPTED.replace(' undefined,', '');

/** A value as bytes that every thread reads. `what` names it in the error, with the path within. */
function encode(value, what) {
  checkValue(value, what);
  return v8.serialize(value);
}

/** As `encode`, where undefined is no value, nor within one. */
function encodeDefined(value, what) {
  checkValue(value, what, { accepted: ACCEPTED_DEFINED, takesUndefined: false });
  return v8.serialize(value);
}

/**
 * Fails for what is no plain data. Where more is taken, `accepts(object, path, check)` says whether an object is, and checks what
 * is in it; `accepted` are the words for all of it. With `takesExtras` arrays may have properties, which are looked at,
 * and objects symbols, which are not.
 */
function checkValue(value, what, options) {
  const own = Object.assign(Object.create(null), options);
  const { accepts = () => false, accepted = ACCEPTED, takesUndefined = true, takesExtras = false } = own;
  const ancestors = new Set();
  check(value, what);

  function check(value, path) {
    if (value === null || typeof value !== 'object') {
      const isNone = value === undefined && !takesUndefined;
      if (isNone || typeof value === 'function' || typeof value === 'symbol') {
        throw invalidValue(value, path, accepted);
      }
      return;
    }
    if (ancestors.has(value)) throw invalidValue('a cycle', path, accepted);
    ancestors.add(value);
    if (Array.isArray(value)) checkArray(value, path, check, accepted, takesExtras);
    else if (!accepts(value, path, check)) checkObject(value, path, check, accepted, takesExtras);
    ancestors.delete(value);
  }
}

/** The value behind such bytes, deeply frozen: every reader of a thread has the same object. */
function decode(bytes) {
  return freeze(v8.deserialize(bytes));
}

function checkArray(array, path, check, accepted, takesExtras) {
  for (let index = 0; index < array.length; index++) {
    if (!(index in array)) throw invalidValue('a hole', `${path}[${index}]`, accepted);
    check(array[index], `${path}[${index}]`);
  }
  const extras = Object.keys(array).slice(array.length);
  if (extras.length > 0 && !takesExtras) throw invalidValue('an array with properties', path, accepted);
  for (const key of extras) check(array[key], propertyPath(path, key));
}

function checkObject(object, path, check, accepted, takesExtras) {
  const prototype = Object.getPrototypeOf(object);
  // Objects of another realm (a vm context) are plain too: their prototype has none itself.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
    throw invalidValue(object, path, accepted);
  if (prototype !== null && !Object.hasOwn(prototype, 'hasOwnProperty'))
    throw invalidValue(object, path, accepted);
  if (!takesExtras && Object.getOwnPropertySymbols(object).length > 0)
    throw invalidValue('an object with symbols', path, accepted);
  for (const key of Object.keys(object)) check(object[key], propertyPath(path, key));
}

function propertyPath(path, key) {
  return /^[\w$]+$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

function invalidValue(given, path, accepted) {
  const className = given?.constructor?.name;
  const what =
    typeof given === 'string'
      ? given
      : className && className !== 'Function'
        ? `a ${className}`
        : describe(given);
  return new SluiceError('INVALID_VALUE', `${path} is ${what}; accepted: ${accepted}`);
}

function freeze(value) {
  if (value === null || typeof value !== 'object') return value;
  for (const key of Object.keys(value)) freeze(value[key]);
  return Object.freeze(value);
}

module.exports = { checkValue, decode, encode, encodeDefined };
