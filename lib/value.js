'use strict';

const v8 = require('node:v8');
const { describe, SluiceError } = require('./errors');

const ACCEPTED =
  'null, undefined, booleans, numbers, bigints, strings, arrays and plain objects of these, without cycles';
const ACCEPTED_DEFINED = ACCEPTED.replace(' undefined,', '');

/** A value as bytes that every thread reads. `what` names it in the error, with the path within. */
function encode(value, what) {
  check(value, what, new Set(), ACCEPTED);
  return v8.serialize(value);
}

/** As `encode`, where undefined is no value, nor within one. */
function encodeDefined(value, what) {
  check(value, what, new Set(), ACCEPTED_DEFINED);
  return v8.serialize(value);
}

/** The value behind such bytes, deeply frozen: every reader of a thread has the same object. */
function decode(bytes) {
  return freeze(v8.deserialize(bytes));
}

function check(value, path, ancestors, accepted) {
  if (value === null || typeof value !== 'object') {
    const isNone = value === undefined && accepted === ACCEPTED_DEFINED;
    if (isNone || typeof value === 'function' || typeof value === 'symbol')
      throw invalidValue(value, path, accepted);
    return;
  }
  if (ancestors.has(value)) throw invalidValue('a cycle', path, accepted);
  ancestors.add(value);
  if (Array.isArray(value)) checkArray(value, path, ancestors, accepted);
  else checkObject(value, path, ancestors, accepted);
  ancestors.delete(value);
}

function checkArray(array, path, ancestors, accepted) {
  for (let index = 0; index < array.length; index++) {
    if (!(index in array)) throw invalidValue('a hole', `${path}[${index}]`, accepted);
    check(array[index], `${path}[${index}]`, ancestors, accepted);
  }
  if (Object.keys(array).length !== array.length)
    throw invalidValue('an array with properties', path, accepted);
}

function checkObject(object, path, ancestors, accepted) {
  const prototype = Object.getPrototypeOf(object);
  // Objects of another realm (a vm context) are plain too: their prototype has none itself.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
    throw invalidValue(object, path, accepted);
  if (prototype !== null && !Object.hasOwn(prototype, 'hasOwnProperty'))
    throw invalidValue(object, path, accepted);
  if (Object.getOwnPropertySymbols(object).length > 0)
    throw invalidValue('an object with symbols', path, accepted);
  for (const key of Object.keys(object)) {
    check(
      object[key],
      /^[\w$]+$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`,
      ancestors,
      accepted,
    );
  }
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

module.exports = { decode, encode, encodeDefined };
