'use strict';

const { invalidOption } = require('../runtime/errors');

/** Checks the reason of a shutdown or a cancellation, a text for all threads. */
function checkReason(option, reason) {
  if (reason === undefined || (typeof reason === 'string' && reason.isWellFormed())) return reason;
  throw invalidOption(option, reason, 'a string without lone surrogates');
}

module.exports = { checkReason };
