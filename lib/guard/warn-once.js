'use strict';

const { onProcess } = require('../runtime/native');

const warned = new Set();

onProcess('reset', () => warned.clear());

/**
 * Emits a process warning once per thread and code: the cause is the server's set-up, not one request. `detail` says where
 * to read more.
 */
function warnOnce(code, message, detail) {
  if (warned.has(code)) return;
  warned.add(code);
  process.emitWarning(message, { type: 'SluiceWarning', code, detail });
}

module.exports = { warnOnce };
