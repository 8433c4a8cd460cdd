'use strict';

const { invalid } = require('../runtime/errors');
const { boolean, checkOptions } = require('../runtime/schema');

/** The largest limit. Counts go a little further. */
const MOST = 1_000_000_000;
/** In the year 2255. Times are nanoseconds of 64 bits on the native side. */
const LAST_MS = 9e12;

/** Hits of `add`: they may be negative. */
function checkHits(n) {
  return checkCount('n', n, undefined);
}

/** @param {number | undefined} least */
function checkCount(what, given, least) {
  if (Number.isSafeInteger(given) && (least === undefined || given >= least)) return given;
  const accepted = least === undefined ? 'an integer' : `an integer from ${least}`;
  throw invalid('INVALID_VALUE', what, given, accepted);
}

function checkKey(key) {
  if (typeof key === 'string' && key !== '') return key;
  throw invalid('INVALID_KEY', 'key', key, 'a non-empty string');
}

/** Milliseconds, rounded up: windows end on whole ones. */
function checkWindow(what, given) {
  if (typeof given === 'number' && given > 0) return Math.ceil(given);
  throw invalid('INVALID_VALUE', what, given, 'a number of milliseconds above 0, or Infinity');
}

/** Whole milliseconds since 1970. */
function checkTime(now) {
  if (typeof now === 'number' && now >= 0 && now <= LAST_MS) return Math.floor(now);
  throw invalid('INVALID_VALUE', 'now', now, 'milliseconds since 1970, as Date.now() returns them');
}

const limit = (value, option) => {
  if (Number.isSafeInteger(value) && value <= MOST) return value;
  throw invalid('INVALID_OPTION', option, value, `an integer up to ${MOST}`);
};
const window = (value, option) => {
  if (typeof value === 'number' && value > 0) return Math.ceil(value);
  throw invalid('INVALID_OPTION', option, value, 'a number of milliseconds above 0, or Infinity');
};

const RULE = { above: limit, windowMs: window, once: boolean, double: boolean };

/** A rule that is checked once, for stores that give the same with each call. */
class CheckedRule {
  constructor(rule) {
    const { above, windowMs, once = false, double = false } = checkOptions('HitCounter rule', rule, RULE);
    if (above === undefined) limit(above, 'HitCounter rule above');
    if (windowMs === undefined) window(windowMs, 'HitCounter rule windowMs');
    this.above = above;
    this.windowMs = windowMs;
    this.once = once;
    this.double = double;
  }
}

function checkRule(rule) {
  return rule instanceof CheckedRule ? rule : new CheckedRule(rule);
}

module.exports = { CheckedRule, checkCount, checkHits, checkKey, checkRule, checkTime, checkWindow };
