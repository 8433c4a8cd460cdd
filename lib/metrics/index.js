'use strict';

const { boolean, checkOptions } = require('../runtime/schema');
const { writeFamilies } = require('./exposition');
const { guardNames } = require('./guard-names');
const { measureLatencies } = require('./measure-latencies');
const { processFamilies } = require('./process-families');

const OPTIONS = { guards: guardNames, histograms: boolean };

/** What all guards and components of the process count, whichever threads created them, as one page for Prometheus. */
function metrics(options = {}) {
  const { guards, histograms = false } = checkOptions('metrics', options, OPTIONS);
  if (histograms) measureLatencies();
  return writeFamilies(processFamilies({ guards, histograms }), { comments: true });
}

module.exports = { metrics };
