'use strict';

const { onProcess } = require('../runtime/native');
const { warn } = require('../runtime/warn');

const warned = new Set();

onProcess('reset', () => warned.clear());

/**
 * Emits a process warning once per thread and code: the cause is the server's set-up, not one request. `detail` says where
 * to read more.
 */
function warnOnce(code, message, detail) {
  if (warned.has(code)) return;
  warned.add(code);
  warn(code, message, detail);
}

module.exports = { warnOnce };
