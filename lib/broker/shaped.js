'use strict';

const { LONGEST_JSON, isExactAsJson, isExactNumber, toJson } = require('./exact-json');
const { receivedShape, sentShapes } = require('./shapes');

/** A longer string costs less through `JSON.stringify`. */
const LONGEST_QUOTED = 100;

/** Any character that JSON may escape: control characters, quotes, backslashes, surrogates. */
const MAY_ESCAPE = /[^ !#-[\]-\ud7ff\ue000-\uffff]/;

/**
 * The number of a plain object's shape and its values, as JSON between commas. Its keys do not travel, and one pass checks
 * and writes it. Undefined where its shape is not shared with other threads, or JSON does not represent it exactly.
 */
function toShaped(object) {
  if (Object.getPrototypeOf(object) !== Object.prototype || typeof object.toJSON === 'function')
    return undefined;
  const keys = Object.keys(object);
  const shape = sentShapes.of(keys);
  if (shape === undefined) return undefined;
  let text = `${shape.number}`;
  for (let at = 0; at < keys.length; at++) {
    const value = valueText(object[keys[at]]);
    if (value === undefined) return undefined;
    text += `,${value}`;
  }
  return text.length <= LONGEST_JSON ? text : undefined;
}

function valueText(value) {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      return isExactNumber(value) ? `${value}` : undefined;
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      return isExactAsJson(value, 1) ? toJson(value) : undefined;
    default:
      return undefined;
  }
}

function quoted(text) {
  return text.length > LONGEST_QUOTED || MAY_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

module.exports = { receivedShape, toShaped };
