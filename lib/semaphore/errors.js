'use strict';

const { SluiceError } = require('../runtime/errors');

/** As many calls wait as may. */
function fullError(name) {
  const message = `Semaphore "${name}": as many calls wait as maxWaiting allows; try again later, or raise it`;
  return new SluiceError('BACKPRESSURE', message);
}

function timeoutError(name, { permits, timeout }) {
  const what = permits === 1 ? 'no permit was' : `no ${permits} permits were`;
  return new SluiceError('TIMEOUT', `Semaphore "${name}": ${what} free within ${timeout} ms`);
}

/** The semaphore was reconfigured while the call waited. */
function unmetError(name, { permits }, most) {
  const accepted = `an integer from 1 to ${most}, the permits of "${name}" since it was reconfigured`;
  return new SluiceError('INVALID_OPTION', `Semaphore acquire permits is ${permits}; accepted: ${accepted}`);
}

function closedError(name, isReset) {
  if (isReset) return new SluiceError('CLOSED', `"${name}" was reset before a permit was free`);
  return new SluiceError('CLOSED', `"${name}" was destroyed; create it anew to use it`);
}

module.exports = { closedError, fullError, timeoutError, unmetError };
