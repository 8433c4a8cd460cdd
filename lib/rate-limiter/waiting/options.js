'use strict';

const { SluiceError } = require('../../runtime/errors');
const { abortSignal, checkOptions, owned, parseDuration } = require('../../runtime/schema');
const { checkCost } = require('../cost');

const waitingTime = (value, option) => parseDuration(value, option, { forever: true });

const ACQUIRE = { cost: checkCost, timeout: waitingTime, signal: abortSignal };

const DEFAULTS = owned({ cost: 1, timeout: parseDuration('30s'), signal: undefined });

/** The options of `acquire`, checked, with the defaults. */
function acquireOptions(options) {
  return options === undefined ? DEFAULTS : owned(DEFAULTS, checkOptions('acquire', options, ACQUIRE));
}

/** Lines are of one process. `what` is the method or the option that waits. */
function notWaited(what, name, scope) {
  const message = `${what}: RateLimiter ${JSON.stringify(name)} has the scope ${scope}, where no call waits in line`;
  return new SluiceError(
    'UNSUPPORTED',
    `${message}; accepted: a limiter of scope "process", or consumeAsync`,
  );
}

module.exports = { acquireOptions, notWaited, waitingTime };
