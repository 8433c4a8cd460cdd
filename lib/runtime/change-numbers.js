'use strict';

/** The number of each change that listeners of this thread were told of. */
const numbers = new WeakMap();

/** No other change of the process has the number: other threads tell their listeners of this one by the same. */
function numberChange(change, number) {
  numbers.set(change, number);
}

/** `undefined` for an event without one. */
function numberOfChange(change) {
  return numbers.get(change);
}

module.exports = { numberChange, numberOfChange };
