'use strict';

const { warn } = require('../runtime/warn');
const { Inspection } = require('./inspection');

/** Makes this process inspectable, as `SLUICE_INSPECT=1` asks. Without actions: those need a line of code. */
function inspectByEnvironment() {
  const given = process.env.SLUICE_INSPECT;
  if (given === '1') return void new Inspection({ actions: undefined });
  const what = `SLUICE_INSPECT is ${JSON.stringify(given)}`;
  warn('SLUICE_NOT_INSPECTABLE', `${what}; accepted: 1, and 0 or an empty text to leave it out`);
}

module.exports = { inspectByEnvironment };
