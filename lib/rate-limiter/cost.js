'use strict';

const { invalid } = require('../runtime/errors');
const { LIMITER_CALL, LIMITER_COST } = require('../runtime/layouts');
const { integers, numbers } = require('../runtime/native');

const INT32_MAX = 2 ** 31 - 1;

/** Leaves the units of a native call. */
function leaveCost(cost) {
  if (cost === 1) integers[LIMITER_CALL.COST] = 1;
  else leaveOtherCost(cost);
}

function leaveOtherCost(cost) {
  checkCost(cost);
  integers[LIMITER_CALL.COST] = cost <= INT32_MAX ? cost : 0;
  numbers[LIMITER_COST.COST] = cost;
}

/** Units, checked. */
function checkCost(cost) {
  if (Number.isSafeInteger(cost) && cost > 0) return cost;
  throw invalid('INVALID_COST', 'cost', cost, `an integer from 1 to ${Number.MAX_SAFE_INTEGER}`);
}

module.exports = { checkCost, leaveCost };
