'use strict';

const { performance } = require('node:perf_hooks');
const { MEASURED } = require('./layouts');
const { native, onProcess } = require('./native');

/**
 * What this thread measures: nothing, until something of the process asks for it. A thread follows on its next turn.
 *
 * @type {{ decisions: boolean, calls: boolean }}
 */
const measured = { decisions: false, calls: false };

function follow() {
  for (const [what, code] of Object.entries(MEASURED)) measured[what] = native.isMeasured(code);
}

/** Has all threads measure it from now on: decisions of limiters and guards, or calls of brokers. */
function measure(what) {
  native.measure(MEASURED[what]);
  follow();
}

/** A clock that tests do not stop, in milliseconds. */
const time = () => performance.now();

follow();
onProcess('measured', follow);

module.exports = { measure, measured, time };
