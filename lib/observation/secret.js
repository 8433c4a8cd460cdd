'use strict';

const { randomBytes } = require('node:crypto');
const { native } = require('../runtime/native');

const BYTES = 32;

let known;

/** A secret of the process: the same in all threads, another after a restart. */
function secret() {
  known ??= native.observationSecret(randomBytes(BYTES));
  return known;
}

module.exports = { secret };
