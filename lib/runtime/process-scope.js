'use strict';

const { SluiceError } = require('./errors');

/** Checks the scope of what counts in this process only. */
function processScope(value, option) {
  if (value === 'process') return value;
  throw new SluiceError(
    'UNSUPPORTED',
    `${option}: not supported yet beyond this process; accepted: "process"`,
  );
}

module.exports = { processScope };
