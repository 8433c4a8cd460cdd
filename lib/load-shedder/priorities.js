'use strict';

const { PRIORITIES } = require('../runtime/layouts');
const { owned } = require('../runtime/schema');

const NAMES = Object.keys(PRIORITIES);
const ACCEPTED_PRIORITY = NAMES.map((name) => JSON.stringify(name)).join(', ');

const CODES = owned(PRIORITIES);

/** The integer of a priority; `undefined` for what is none. */
function codeOf(priority) {
  return typeof priority === 'string' ? CODES[priority] : undefined;
}

/** Native counts, which are in the order of the codes, by their priorities. */
function countsOf(counts) {
  return Object.fromEntries(counts.map((count, code) => [NAMES[code], count]));
}

module.exports = { ACCEPTED_PRIORITY, codeOf, countsOf };
