'use strict';

const { native } = require('../runtime/native');
const { follow } = require('./followed-events');
const { reportLoad } = require('./thread-load');

let isStarted = false;

/**
 * Starts the observation of the process, if no thread has, and this thread's part in it: it reports how busy it is, and
 * notes what components say. It does not end, and keeps no thread alive.
 */
function startObservation() {
  if (isStarted) return;
  isStarted = true;
  native.startObservation();
  reportLoad();
  follow();
}

module.exports = { startObservation };
