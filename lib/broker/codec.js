'use strict';

const v8 = require('node:v8');
const { types } = require('node:util');
const { SluiceError } = require('../runtime/errors');
const { serialize } = require('../runtime/value');
const { walk } = require('../runtime/value-walk');
const { ACCEPTED, byteLengthOf, lengthOf, openCloned } = require('./cloned');

/** How a payload travels. The first two are part of the JSON text of their batch, the others travel by themselves. */
const CODEC = { json: 0, nothing: 1, text: 2, buffer: 3, bytes: 4, rich: 5 };

/** A string of this length or more costs less by itself than as JSON. */
const LONG_TEXT = 200;

/** A string has at most about 2^29 characters, and the receiver joins this one with others. */
const LONGEST_JSON = 2 ** 28;

/** Deeper values are checked by `walk`, which detects cycles. */
const MOST_NESTED = 32;

/** A payload has fewer bytes than this: the number crosses to native code as 32 bits. */
const MOST_BYTES = 2 ** 32;
const ACCEPTED_BYTES = `less than ${MOST_BYTES} bytes (4 GiB) in all`;

/** The payload encoded last; used before the next is encoded. */
const encoded = { codec: CODEC.json, data: 'null' };

/**
 * Encodes a copy of a value as it is now: as JSON if that is exact, since it costs least, else by structured clone.
 * `what` names the value in errors.
 */
function encode(value, what) {
  switch (typeof value) {
    case 'string':
      return encodeText(value);
    case 'undefined':
      return encodedAs(CODEC.nothing, 'null');
    case 'object':
      if (types.isUint8Array(value)) return encodeBytes(value, what);
  }
  const json = isExactAsJson(value, 0) ? toJson(value) : undefined;
  if (json !== undefined) return encodedAs(CODEC.json, json);
  check(value, what);
  return encodeRich(value, what);
}

/** Encodes plain data made by this library, which needs no check. */
function encodeOwn(value, what) {
  const json = isExactAsJson(value, 0) ? toJson(value) : undefined;
  return json === undefined ? encodeRich(value, what) : encodedAs(CODEC.json, json);
}

function check(value, what) {
  let bytes = 0;
  const open = (object, fail) => {
    bytes += byteLengthOf(object);
    if (bytes >= MOST_BYTES) fail(`at ${bytes} bytes`, ACCEPTED_BYTES);
    return openCloned(object, fail);
  };
  walk(value, what, { accepted: ACCEPTED, takesUndefined: true, copies: false, open });
}

function encodeRich(value, what) {
  const bytes = serialize(value, what);
  checkLength(bytes.length, what);
  return encodedAs(CODEC.rich, bytes);
}

function checkLength(length, what) {
  if (length < MOST_BYTES) return;
  throw new SluiceError('INVALID_VALUE', `${what} has ${length} bytes; accepted: ${ACCEPTED_BYTES}`);
}

/** Lone surrogates need JSON, which escapes them; UTF-8 has none. */
function encodeText(text) {
  if (text.length < LONG_TEXT || !text.isWellFormed()) return encodedAs(CODEC.json, JSON.stringify(text));
  return encodedAs(CODEC.text, text);
}

function encodeBytes(bytes, what) {
  checkLength(lengthOf(bytes), what);
  if (Buffer.isBuffer(bytes)) return encodedAs(CODEC.buffer, bytes);
  return Object.getPrototypeOf(bytes) === Uint8Array.prototype
    ? encodedAs(CODEC.bytes, bytes)
    : encodeRich(bytes, what);
}

function encodedAs(codec, data) {
  encoded.codec = codec;
  encoded.data = data;
  return encoded;
}

/** The value of a payload that travelled by itself. */
function decode(codec, data) {
  switch (codec) {
    case CODEC.bytes:
      return new Uint8Array(data.buffer, data.byteOffset, data.length);
    case CODEC.rich:
      return v8.deserialize(data);
    default:
      return data;
  }
}

/** Undefined if the text would be too long, or a getter throws: it throws again when the value is checked. */
function toJson(value) {
  try {
    const json = JSON.stringify(value);
    return json.length <= LONGEST_JSON ? json : undefined;
  } catch {
    return undefined;
  }
}

/** Whether JSON represents the value exactly. False also for values that are costly to check. */
function isExactAsJson(value, depth) {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && (value !== 0 || 1 / value > 0);
    case 'object':
      return value === null || (depth < MOST_NESTED && isExactObject(value, depth + 1));
    default:
      return false;
  }
}

function isExactObject(object, depth) {
  if (typeof object.toJSON === 'function') return false;
  if (Array.isArray(object)) {
    for (let index = 0; index < object.length; index++) {
      if (!isExactAsJson(object[index], depth)) return false;
    }
    return true;
  }
  if (Object.getPrototypeOf(object) !== Object.prototype) return false;
  for (const key in object) {
    if (!isExactAsJson(object[key], depth)) return false;
  }
  return true;
}

module.exports = { CODEC, decode, encode, encodeOwn };
