'use strict';

const { invalid } = require('../runtime/errors');
const { DONE, KEYS_AT_ONCE, LIMITER_CALL, SEVERAL_ANSWERS } = require('../runtime/layouts');
const { integers, native, noAnswer } = require('../runtime/native');
const { leaveCost } = require('./cost');

const { HANDLE, KEYS } = LIMITER_CALL;
const { ANSWER, ADMITTED } = SEVERAL_ANSWERS;
const { tryConsumeSeveral } = native;

/** One answer for each key. All keys are checked before the first is charged, so an error charges none. */
function consumeMany(handle, keys, cost) {
  const answers = checkedKeys(keys, cost);
  for (let first = 0; first < answers.length; first += KEYS_AT_ONCE) {
    leaveCost(cost);
    consumeSome(handle, answers, first);
  }
  return answers;
}

/** As `consumeMany`, where each key is charged by a call of its own. */
function consumeEach(limiter, keys, cost) {
  return checkedKeys(keys, cost).map((key) => limiter.tryConsume(key, cost));
}

function checkedKeys(keys, cost) {
  if (!Array.isArray(keys)) throw invalid('INVALID_KEY', 'keys', keys, 'an array of non-empty strings');
  // A copy has no holes and no getters, and does not change between the check and the charge. The answers take the places
  // of the keys.
  const answers = [...keys];
  leaveCost(cost);
  for (let at = 0; at < answers.length; at++) {
    if (typeof answers[at] === 'string' && answers[at].length > 0) continue;
    throw invalid('INVALID_KEY', `keys[${at}]`, answers[at], 'a non-empty string');
  }
  return answers;
}

/** Charges the keys from `first` on, as many as cross at once. Arguments in a fixed number are passed without an array. */
function consumeSome(handle, of, first) {
  const count = Math.min(KEYS_AT_ONCE, of.length - first);
  integers[HANDLE] = handle;
  integers[KEYS] = count;
  // biome-ignore format: a key a place
  tryConsumeSeveral(
    of[first], of[first + 1], of[first + 2], of[first + 3],
    of[first + 4], of[first + 5], of[first + 6], of[first + 7],
    of[first + 8], of[first + 9], of[first + 10], of[first + 11],
    of[first + 12], of[first + 13], of[first + 14], of[first + 15],
  );
  if (integers[ANSWER] !== DONE) noAnswer();
  const admitted = integers[ADMITTED];
  for (let at = 0; at < count; at++) of[first + at] = ((admitted >> at) & 1) === 1;
}

module.exports = { consumeEach, consumeMany };
