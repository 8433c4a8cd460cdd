'use strict';

/** A string has at most about 2^29 characters, and the receiver joins this one with others. */
const LONGEST_JSON = 2 ** 28;

/** Deeper values are checked by `walk`, which detects cycles. */
const MOST_NESTED = 32;

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
      return isExactNumber(value);
    case 'object':
      return value === null || (depth < MOST_NESTED && isExactObject(value, depth + 1));
    default:
      return false;
  }
}

function isExactNumber(value) {
  return Number.isFinite(value) && (value !== 0 || 1 / value > 0);
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

module.exports = { LONGEST_JSON, isExactAsJson, isExactNumber, toJson };
