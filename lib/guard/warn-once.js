'use strict';

const { onProcess } = require('../runtime/native');

const warned = new Set();

onProcess('reset', () => warned.clear());

/**
 * A process warning, once per thread and code: what is wrong is the server's set-up, not one request. `detail`
 * says where more is to be read.
 */
function warnOnce(code, message, detail) {
  if (warned.has(code)) return;
  warned.add(code);
  process.emitWarning(message, { type: 'SluiceWarning', code, detail });
}

module.exports = { warnOnce };
