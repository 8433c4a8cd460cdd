'use strict';

const { measure } = require('../runtime/measured');
const { native } = require('../runtime/native');

/** Has all threads measure what histograms are made of. Limiters measure while the process is observed. */
function measureLatencies() {
  native.startObservation();
  measure('decisions');
  measure('calls');
}

module.exports = { measureLatencies };
