'use strict';

const v8 = require('node:v8');
const { types } = require('node:util');
const { SluiceError } = require('../runtime/errors');
const { serialize } = require('../runtime/value');
const { walk } = require('../runtime/value-walk');
const { ACCEPTED, byteLengthOf, lengthOf, openCloned } = require('./cloned');

/** How a payload travels. The first two are in the JSON text of their batch, the others by themselves. */
const CODEC = { json: 0, nothing: 1, text: 2, buffer: 3, bytes: 4, rich: 5 };

/** From here on a string costs less by itself than as JSON. */
const LONG_TEXT = 200;

/** No string has more than 2^29 characters, and the receiver parses this one with others. */
const LONGEST_JSON = 2 ** 28;

/** Deeper values are looked at by what knows cycles. */
const MOST_NESTED = 32;

/** Bytes that a message must not reach: their number crosses to native code as 32 bits. */
const MOST_BYTES = 2 ** 32;
const ACCEPTED_BYTES = `less than ${MOST_BYTES} bytes (4 GiB) in all`;

/** The payload encoded last. It is used before another is. */
const encoded = { codec: CODEC.json, data: 'null' };

/**
 * Encodes a copy of a value, as it is now: JSON where that is exact, which is what costs least, structured clone where
 * it is not. `what` names the value in the error.
 */
function encode(value, what) {
  switch (typeof value) {
    case 'string':
      return encodeText(value);
    case 'undefined':
      return leave(CODEC.nothing, 'null');
    case 'object':
      if (types.isUint8Array(value)) return encodeBytes(value, what);
  }
  const json = isExactAsJson(value, 0) ? toJson(value) : undefined;
  if (json !== undefined) return leave(CODEC.json, json);
  check(value, what);
  return encodeRich(value, what);
}

/** Encodes plain data that this library has made itself. */
function encodeOwn(value, what) {
  const json = isExactAsJson(value, 0) ? toJson(value) : undefined;
  return json === undefined ? encodeRich(value, what) : leave(CODEC.json, json);
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
  return leave(CODEC.rich, bytes);
}

function checkLength(length, what) {
  if (length < MOST_BYTES) return;
  throw new SluiceError('INVALID_VALUE', `${what} has ${length} bytes; accepted: ${ACCEPTED_BYTES}`);
}

/** JSON escapes lone surrogates, which UTF-8 does not have. */
function encodeText(text) {
  if (text.length < LONG_TEXT || !text.isWellFormed()) return leave(CODEC.json, JSON.stringify(text));
  return leave(CODEC.text, text);
}

function encodeBytes(bytes, what) {
  checkLength(lengthOf(bytes), what);
  if (Buffer.isBuffer(bytes)) return leave(CODEC.buffer, bytes);
  return Object.getPrototypeOf(bytes) === Uint8Array.prototype
    ? leave(CODEC.bytes, bytes)
    : encodeRich(bytes, what);
}

function leave(codec, data) {
  encoded.codec = codec;
  encoded.data = data;
  return encoded;
}

/** The value of what came by itself. */
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

/** Undefined where the text would be too long. What a getter throws it throws again where the value is looked at next. */
function toJson(value) {
  try {
    const json = JSON.stringify(value);
    return json.length <= LONGEST_JSON ? json : undefined;
  } catch {
    return undefined;
  }
}

/** Whether JSON says neither less nor other than the value. False also where it is not worth finding out. */
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
