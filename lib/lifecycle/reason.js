'use strict';

const { invalidOption } = require('../runtime/errors');

/** Why something ends, for people: all threads are told. */
function checkReason(option, reason) {
  if (reason === undefined || (typeof reason === 'string' && reason.isWellFormed())) return reason;
  throw invalidOption(option, reason, 'a string without lone surrogates');
}

module.exports = { checkReason };
