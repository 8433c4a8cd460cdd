'use strict';

const v8 = require('node:v8');
const { types } = require('node:util');
const { SluiceError } = require('../runtime/errors');
const { serialize } = require('../runtime/value');
const { walk } = require('../runtime/value-walk');
const { ACCEPTED, byteLengthOf, lengthOf, openCloned } = require('./cloned');
const { isExactAsJson, toJson } = require('./exact-json');
const { toShaped } = require('./shaped');

/** How a payload travels. The first three are part of the JSON text of their batch, the others travel by themselves. */
const CODEC = { json: 0, nothing: 1, shaped: 2, text: 3, buffer: 4, bytes: 5, rich: 6 };

/** A string of this length or more costs less by itself than as JSON. */
const LONG_TEXT = 200;

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
      if (value !== null) return encodeObject(value, what);
  }
  return encodeValue(value, what);
}

function encodeObject(object, what) {
  const shaped = toShaped(object);
  return shaped === undefined ? encodeValue(object, what) : encodedAs(CODEC.shaped, shaped);
}

function encodeValue(value, what) {
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

/** Whether a payload is part of the JSON text of its batch. */
function isInText(codec) {
  return codec <= CODEC.shaped;
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

module.exports = { CODEC, decode, encode, encodeOwn, isInText };
