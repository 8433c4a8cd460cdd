'use strict';

const { helpFor } = require('./errors');

/** Emits a process warning. Without a `detail` it points to the place in the docs that explains its code. */
function warn(code, message, detail = `See ${helpFor(code)}`) {
  process.emitWarning(message, { type: 'SluiceWarning', code, detail });
}

module.exports = { warn };
